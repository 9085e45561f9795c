"""Fresh: what came into a table since the last accepted dataset, grouped by who and what it came from. What gates judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from headwater.train.trainer import Classifier, Ranker

__all__ = ["GROUP", "Fresh", "group_column"]

GROUP = "_by_"
"""What the columns that name groups begin with: `_by_contributor`, `_by_batch`, …"""


def group_column(axis: str) -> str:
    """The text column that says to which group of an axis a row belongs."""
    return GROUP + axis


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """The new rows of one table, beside those that were accepted before.

    `new` and `history` have the table's columns; `_source`, `_batch` and `_row`, which name a row for ever; and for each
    of `axes` a text column `_by_AXIS` with the row's group (null: it has none). The axes are `contributor`, `batch`
    (as `source/number`), `source`, `day`, `age` (of the account: `new` for who wrote nothing before this
    round, else `old`), and whatever the table declares. A contributor that only the payload claims is a group
    for each source that claims it (`NAME@SOURCE`), so nothing written under his name elsewhere is held against him.

    `history` is what the last accepted dataset was made of, empty at first; rows of both are sorted by their names.
    `champion` is the model that serves, trained on some of `history` and nothing of `new`; None if there is none.
    """

    table: str
    new: pl.DataFrame
    history: pl.DataFrame
    axes: tuple[str, ...]
    contributor: str | None = None
    time: str | None = None
    champion: Classifier | Ranker | None = None
