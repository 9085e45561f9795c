"""API keys with scopes, kept as hashes; and how fast one caller or contributor may go."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from headwater.core.errors import Broken, UsageError
from headwater.core.files import locked, write_whole
from headwater.core.names import check_name, did_you_mean
from headwater.core.secret import Secret

__all__ = ["SCOPES", "ApiKey", "ApiKeys", "Pace", "Scope", "make_api_key", "revoke_api_key"]

Scope = Literal["predict", "feedback", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """A caller who may come in. The token itself is known to nobody but him."""

    name: str
    sha256: str
    scopes: frozenset[str]


def make_api_key(keys_folder: Path, name: str, scopes: Iterable[str]) -> Secret:
    """Make a key of 256 random bits. It is shown this once: only its hash is kept, in `api_keys.json`, mode 0600."""
    check_name(name, "API key")
    wanted = sorted(set(scopes))
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        raise UsageError(f"{unknown[0]!r} is no scope. {did_you_mean(unknown[0], SCOPES)}")
    if not wanted:
        raise UsageError(f"an API key needs a scope: {', '.join(SCOPES)}")
    token = "hw_" + secrets.token_urlsafe(32)
    with _changing(keys_folder):
        known = _read(keys_folder)
        if name in known:
            raise UsageError(f"there is an API key {name!r} already. Choose another name, or revoke it first")
        known[name] = {"sha256": _sha256(token), "scopes": wanted}
        _write(keys_folder, known)
    return Secret(token)


def revoke_api_key(keys_folder: Path, name: str) -> None:
    """Take a key back. Running servers notice within a second."""
    with _changing(keys_folder):
        known = _read(keys_folder)
        if name not in known:
            raise UsageError(f"there is no API key {name!r}. {did_you_mean(name, known)}")
        del known[name]
        _write(keys_folder, known)


class ApiKeys:
    """The keys of one project, read again when the file changes. A file that cannot be read lets nobody in."""

    def __init__(self, keys_folder: Path) -> None:
        self._folder = keys_folder
        self._looked = -math.inf
        self._stamp: tuple[int, ...] | None = None
        self._by_hash: Mapping[str, ApiKey] = {}

    def find(self, token: str) -> ApiKey | None:
        """The key of this token, if there is one."""
        self._refresh()
        digest = _sha256(token)
        key = self._by_hash.get(digest)
        return key if key is not None and hmac.compare_digest(key.sha256, digest) else None

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < 0.5:
            return
        self._looked = now
        try:
            stat = (self._folder / "api_keys.json").stat()
            stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if stamp == self._stamp:
                return
            known = _read(self._folder)
            self._by_hash = {v["sha256"]: ApiKey(name=n, sha256=v["sha256"], scopes=frozenset(v["scopes"])) for n, v in known.items()}
            self._stamp = stamp
        except (OSError, Broken, KeyError, TypeError):
            self._by_hash, self._stamp = {}, None


class Pace:
    """A token bucket for each subject: `per_second` on the long run, `burst` at once, at most `most` subjects remembered."""

    def __init__(self, per_second: float, burst: float, *, most: int = 100_000) -> None:
        self.per_second = per_second
        self.burst = burst
        self.most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, subject: str, now: float, cost: float = 1.0) -> float:
        """Take `cost` from the subject's bucket and give 0, or take nothing and give the seconds to wait."""
        left, at = self._buckets.get(subject, (self.burst, now))
        left = min(self.burst, left + (now - at) * self.per_second)
        wait = 0.0 if left >= cost else (cost - left) / self.per_second
        self._buckets[subject] = (left if wait else left - cost, now)
        self._buckets.move_to_end(subject)
        if len(self._buckets) > self.most:
            self._buckets.popitem(last=False)  # the one longest unseen, whose bucket is the fullest
        return wait


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _changing(folder: Path) -> Any:
    return locked(folder / "api_keys.lock", "the list of API keys", wait_s=30)


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "api_keys.json"
    try:
        if path.stat().st_mode & 0o077:
            raise Broken(f"{path} can be read by others. Type: chmod 600 {path}")
        known = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Broken(f"{path} is no JSON: {error}") from error
    if not isinstance(known, dict):
        raise Broken(f"{path} holds no API keys")
    return known


def _write(folder: Path, known: Mapping[str, Any]) -> None:
    write_whole(folder / "api_keys.json", json.dumps(known, indent=1).encode(), mode=0o600)
