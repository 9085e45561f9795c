"""The registry of connectors: a table from the scheme of a url to who reads it and which extra brings that."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.core.errors import MissingExtra, UsageError
from headwater.core.names import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from headwater.collect.source import Cursor, Source
    from headwater.store.sink import Sink

__all__ = ["CONNECTORS", "SINKS", "Connector", "open_sink", "open_source", "schemes", "span"]

ENTRY_POINTS = "headwater.connectors"


@dataclass(frozen=True)
class Connector:
    """`where` names a class `module:Class` called with `(name, url, schema=, root=)`, `extra` what to install for it."""

    where: str
    extra: str | None = None


CONNECTORS = {
    "": Connector("headwater.connectors.files:FilesSource"),
    "file": Connector("headwater.connectors.files:FilesSource"),
}
"""Scheme → source. A url without a scheme is a path. Other packages add rows by entry points of the group
`headwater.connectors`: the entry's name is the scheme, its value the class."""

SINKS: dict[str, Connector] = {}
"""Scheme → sink: a class called with `(name, url, root=)`. Others add rows by entry points of the group `headwater.sinks`."""


def schemes() -> dict[str, Connector]:
    """All sources by scheme: ours, and those that installed packages add. Ours cannot be replaced."""
    return _added(ENTRY_POINTS) | CONNECTORS


def open_source(url: str, *, name: str, schema: pa.Schema | None, root: Path) -> Source:
    """The source that `url` names. `schema` is what the contract expects, `root` what relative paths are relative to.

    Raises `UsageError` for a scheme nobody knows, `MissingExtra` with what to type if its library is not installed.
    """
    scheme = _scheme(url)
    connector = CONNECTORS.get(scheme) or schemes().get(scheme)
    if connector is None:
        known = [one for one in schemes() if one]
        raise UsageError(f"source {name}: no connector knows the scheme {scheme!r}. {did_you_mean(scheme, known)}")
    made: Source = _load(connector, f"source {name}")(name, url, schema=schema, root=root)
    return made


def open_sink(url: str, *, name: str, root: Path) -> Sink:
    """The sink that `url` names. Raises as `open_source` does."""
    scheme = _scheme(url)
    known = _added("headwater.sinks") | SINKS
    if scheme not in known:
        raise UsageError(f"sink {name}: nothing writes to the scheme {scheme!r}. {did_you_mean(scheme, [one for one in known if one])}")
    made: Sink = _load(known[scheme], f"sink {name}")(name, url, root=root)
    return made


def _scheme(url: str) -> str:
    return url.partition("://")[0] if "://" in url else ""


def _added(group: str) -> dict[str, Connector]:
    from importlib.metadata import entry_points

    return {entry.name: Connector(entry.value) for entry in entry_points(group=group)}


def _load(connector: Connector, who: str) -> Any:
    module, _, attribute = connector.where.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        if connector.extra is None:
            raise UsageError(f"{who}: its connector {connector.where} does not load: {error}") from error
        raise MissingExtra(f"{who} needs {error.name}. Type: pip install 'headwater[{connector.extra}]'") from error


def span(before: Cursor | None, after: Cursor | None) -> list[dict[str, Any]]:
    """What a source read between two of its cursors, in its own words: for files, the file and its lines."""
    if after is None:
        return []
    if after.get("kind") == "files":
        from headwater.connectors.positions import span as of_files

        return of_files(before, after)
    return [{key: value for key, value in after.items() if key != "kind"}]
