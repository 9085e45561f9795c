"""Budget: what was measured, beside whom, against which bound; and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Bench", "Line", "Sizes", "table"]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much data. `full` adds what takes long."""

    events: int = 10_000_000
    full_events: int = 30_000_000
    dlt_events: int = 500_000
    drift_rows: int = 500_000
    rounds: int = 3
    serve_s: float = 5.0
    full: bool = False
    quick: bool = False

    @classmethod
    def quickly(cls, *, full: bool = False) -> Sizes:
        """A million events at most, everywhere: to see that it runs. The figures are not the README's."""
        return cls(events=1_000_000, full_events=1_000_000, dlt_events=50_000, rounds=1, serve_s=2.0, full=full, quick=True)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the table. `met` is None where there is nothing to meet, or where it was left out."""

    what: str
    ours: str
    peer: str = ""
    ratio: str = ""
    budget: str = ""
    met: bool | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        said = {True: "yes", False: "**no**", None: ""}[self.met]
        return (self.what, self.ours, self.peer, self.ratio, self.budget, said)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Bench:
    """A name to call it by, the rows it makes, and how. `whats` are the rows' first cells at the usual sizes."""

    name: str
    whats: tuple[str, ...]
    run: Callable[[Sizes], list[Line]]


def table(lines: Iterable[Line]) -> str:
    """All lines as Markdown."""
    head = ("what", "Headwater", "peer", "ratio", "budget", "met")
    rows = [head, tuple("---" for _ in head), *(line.cells() for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def millions(count: int) -> str:
    """10_000_000 as `10 M`, 500_000 as `500 k`."""
    return f"{count / 1e6:g} M" if count >= 1_000_000 else f"{count / 1e3:g} k"
