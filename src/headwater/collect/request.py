"""Request: which tables and sources to collect, and why. What `retrain` returns is what `collect` takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headwater.core.artifact import Artifact
from headwater.core.digest import json_digest
from headwater.core.errors import UsageError
from headwater.core.names import check_name

__all__ = ["Request"]


@dataclass(frozen=True, kw_only=True)
class Request(Artifact):
    """What to collect. `sources` empty means every source of the tables; `trigger` is a stable word (`first`, `time`,
    `drift`, `requested`), `why` is for people; `parents` name the report it answers. Same request, same digest."""

    tables: tuple[str, ...]
    sources: tuple[str, ...] = ()
    trigger: str
    why: str

    @classmethod
    def of(cls, tables: Iterable[str], *, trigger: str, why: str, sources: Iterable[str] = (), parents: Iterable[str] = ()) -> Request:
        """A request for some tables, at least one; names in order and once. Raises `UsageError` for what is no name."""
        wanted = tuple(sorted({check_name(name, "table") for name in tables}))
        if not wanted:
            raise UsageError("a request names no table. Expected at least one")
        of = tuple(sorted({check_name(name, "source") for name in sources}))
        made_from = tuple(parents)
        digest = json_digest({"tables": wanted, "sources": of, "trigger": trigger, "why": why, "parents": made_from})
        return cls(
            uri=f"request:{digest.removeprefix('sha256:')[:12]}",
            digest=digest,
            parents=made_from,
            facts={"tables": len(wanted), "sources": len(of), "trigger": trigger},
            tables=wanted,
            sources=of,
            trigger=trigger,
            why=why,
        )
