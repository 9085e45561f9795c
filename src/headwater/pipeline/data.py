"""Data: prepared tables as a trainer reads them, at the exact versions that their digest names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.process.prepared import Prepared
from headwater.store.lake import Lake

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PreparedData"]


@dataclass(frozen=True)
class PreparedData:
    """A `Prepared`, opened on its lake."""

    prepared: Prepared
    lake: Lake

    @property
    def digest(self) -> str:
        """What the model's manifest will name."""
        return self.prepared.digest

    def table(self, name: str) -> pl.LazyFrame:
        """The live rows of a prepared table."""
        return self.prepared.scan(self.lake, name)
