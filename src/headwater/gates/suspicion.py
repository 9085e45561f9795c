"""Suspicion: what one test says about one group, before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headwater.core.artifact import Fact
from headwater.core.gate import RowName

__all__ = ["Suspicion"]


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """`p` is the chance of evidence as strong or stronger if the group is as honest as history was (a valid p-value,
    or the inverse of an e-value). `numbers` are what a person is shown. `rows`, if any, are the only ones it is about."""

    axis: str
    group: str
    test: str
    p: float
    records: int
    numbers: Mapping[str, Fact] = field(default_factory=dict)
    rows: tuple[RowName, ...] = ()
