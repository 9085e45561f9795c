"""Profile: where a pipeline runs, read from `headwater.toml`. Profiles inherit from `default`; `${NAME}` is the environment's."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from headwater.core.errors import UsageError
from headwater.core.names import check_name, did_you_mean

__all__ = ["Profile", "Serve", "SourceSpec", "read_profile"]

FILE = "headwater.toml"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """Where a table's records come from. `contributor_asserted_by="payload"` (the default): anyone may claim an id."""

    table: str
    url: str = field(repr=False)
    contributor_asserted_by: Literal["payload", "source"] = "payload"


@dataclass(frozen=True, kw_only=True)
class Serve:
    """How predictions are served. `auth="none"` has to be said; a rate is requests a second and contributor."""

    host: str = "127.0.0.1"
    port: int = 8080
    auth: Literal["keys", "none"] = "keys"
    rate: float = 50.0


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One profile, every path absolute."""

    name: str
    root: Path
    pipeline: str = "pipeline.py"
    lake: Path = Path("lake")
    ledger: Path = Path("ledger.db")
    keys: Path = Path("keys")
    spool: Path = Path("spool")
    engine: str = "local"
    sources: Mapping[str, SourceSpec] = field(default_factory=dict)
    serve: Serve = Serve()
    alerts: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_profile(root: Path, name: str = "default") -> Profile:
    """Read a profile of the project in `root`. Raises `UsageError` naming the file, the key and what was expected."""
    path = root / FILE
    try:
        text = path.read_text(encoding="utf-8")
        profiles = tomllib.loads(text)
    except FileNotFoundError:
        raise UsageError(f"no {FILE} in {root}. Type: headwater init, or headwater demo shop") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    if name not in profiles:
        raise UsageError(f"{FILE} has no profile [{name}]. {did_you_mean(name, profiles)}")
    merged = _merged(profiles.get("default", {}), profiles[name])
    values = _expanded(merged, where=f"{FILE} [{name}]")
    return _profile(name, root.resolve(), values)


def _profile(name: str, root: Path, values: dict[str, Any]) -> Profile:
    where = f"{FILE} [{name}]"
    sources = {check_name(key, "source"): _source(key, value, where) for key, value in values.pop("sources", {}).items()}
    serve = _section(Serve, values.pop("serve", {}), f"{where}.serve")
    alerts = values.pop("alerts", {})
    known = {f.name for f in fields(Profile)} - {"name", "root", "sources", "serve", "alerts"}
    for key, value in values.items():
        if key not in known:
            raise UsageError(f"{where} has no setting {key!r}. {did_you_mean(key, known | {'sources', 'serve', 'alerts'})}")
        if not isinstance(value, str):
            raise UsageError(f"{where}: {key} is {value!r}, expected text")
    paths: dict[str, Any] = {
        key: _local(values.pop(key, str(getattr(Profile, key))), root, f"{where}: {key}") for key in ("lake", "ledger", "keys", "spool")
    }
    keys, lake = paths["keys"].resolve(), paths["lake"].resolve()
    if keys == lake or lake in keys.parents:
        raise UsageError(f"{where}: the keys must lie outside the lake: who can write the lake could sign")
    return Profile(name=name, root=root, sources=sources, serve=serve, alerts=alerts, **values, **paths)


def _local(value: str, root: Path, where: str) -> Path:
    if "://" in value:
        raise UsageError(f"{where} must be a folder or file on this machine in this version")
    return root / value


def _source(name: str, value: object, where: str) -> SourceSpec:
    if isinstance(value, str):
        return SourceSpec(table=name, url=value)
    if not isinstance(value, dict) or "url" not in value:
        raise UsageError(f"{where}.sources.{name}: expected a URL or path, or a table with url = …")
    spec: SourceSpec = _section(SourceSpec, {"table": name, **value}, f"{where}.sources.{name}")
    if spec.contributor_asserted_by not in ("payload", "source"):
        raise UsageError(f"{where}.sources.{name}: contributor_asserted_by is 'payload' or 'source'")
    return spec


def _section(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    known = {f.name: f for f in fields(kind)}
    for key, value in values.items():
        if key not in known:
            raise UsageError(f"{where} has no setting {key!r}. {did_you_mean(key, known)}")
        expected = known[key].default
        if isinstance(expected, (int, float)) and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise UsageError(f"{where}.{key} is {value!r}, expected a number")
    return kind(**values)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return merged


def _expanded(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, where) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        try:
            return os.environ[match[1]]
        except KeyError:
            raise UsageError(f"{where} names the environment variable {match[1]}, which is not set") from None

    return _VARIABLE.sub(fill, value)
