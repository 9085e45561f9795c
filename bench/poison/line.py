"""Line: one measure against its target, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Line", "Measure", "Run", "table"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """How much is tried. `seeds` of each attack, `streams` of clean retrainings; `first` is the first seed.

    Seeds below 1,000 are for tuning; what is printed is made from those of 1,000 and above.
    """

    seeds: int = 10
    streams: int = 200
    first: int = 1_000
    quick: bool = False
    processes: int = 2
    peers: bool = True

    @property
    def chosen(self) -> range:
        """The seeds."""
        return range(self.first, self.first + self.seeds)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row. `met` is None where there is no target: what is told beside it, and the attacks nobody sees."""

    what: str
    gate: str
    without: str = ""
    peers: str = ""
    target: str = ""
    met: bool | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        said = {True: "met", False: "**missed**", None: ""}[self.met]
        return (self.what, self.gate, self.without, self.peers, self.target, said)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Measure:
    """A name to call it by, and how it is made."""

    name: str
    about: str
    run: Callable[[Run], list[Line]]


def table(lines: Iterable[Line]) -> str:
    """All lines as Markdown."""
    head = ("what", "with the gate", "without", "peers", "target", "")
    rows = [head, tuple("---" for _ in head), *(line.cells() for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
