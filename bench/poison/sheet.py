"""Sheet: labelled records with who wrote them, when and in which batch; and, for scoring only, what is true of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from headwater.retrain.fresh import Fresh

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["AXES", "LABEL", "SOURCE", "TABLE", "Sheet", "contributor", "dealt", "features_of", "fresh_of", "joined", "noisy"]

TABLE, LABEL, SOURCE = "records", "label", "feed"
AXES = ("contributor", "batch", "source", "day", "age")
_FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One row a record, in order of batch and row.

    `given` is the class it came with, `true` the right one; `bad` says that an attacker made it.
    """

    x: NDArray[Any]
    given: NDArray[Any]
    true: NDArray[Any]
    who: NDArray[Any]
    batch: NDArray[Any]
    row: NDArray[Any]
    bad: NDArray[Any]

    def __len__(self) -> int:
        return len(self.given)

    def take(self, chosen: NDArray[Any]) -> Sheet:
        """Some of the rows: a mask, or where they are."""
        return replace(self, **{one.name: getattr(self, one.name)[chosen] for one in fields(self)})


def joined(sheets: Sequence[Sheet]) -> Sheet:
    """All rows of all, in that order."""
    return Sheet(**{one.name: np.concatenate([getattr(sheet, one.name) for sheet in sheets]) for one in fields(Sheet)})


def dealt(x: NDArray[Any], y: NDArray[Any], who: NDArray[Any], *, first_batch: int, batch_rows: int, random: np.random.Generator) -> Sheet:
    """Records as they come in: shuffled, so that everybody writes in every batch, `batch_rows` to a batch, a batch a day."""
    order = random.permutation(len(y))
    place = np.arange(len(y))
    batch = first_batch + np.minimum(place // batch_rows, max(len(y) // batch_rows - 1, 0))
    row = place - np.searchsorted(batch, batch)
    y = np.asarray(y)[order]
    return Sheet(
        x=np.asarray(x, np.float64)[order], given=y, true=y, who=np.asarray(who)[order], batch=batch, row=row, bad=np.zeros(len(y), bool)
    )


def noisy(sheet: Sheet, rate: float | NDArray[Any], classes: int, random: np.random.Generator) -> Sheet:
    """Honest mistakes: another class with a chance of `rate`, one for all or one for each record."""
    hit = random.random(len(sheet)) < rate
    other = (sheet.given + random.integers(1, classes, len(sheet))) % classes
    return replace(sheet, given=np.where(hit, other, sheet.given))


def contributor(number: int) -> str:
    """A contributor's group, as `Fresh` names it: the payload's word for him, in the source that claims it."""
    return f"c{number:04d}@{SOURCE}"


def features_of(width: int) -> tuple[str, ...]:
    """The names of the feature columns."""
    return tuple(f"f{n:02d}" for n in range(width))


def _frame(sheet: Sheet, old: frozenset[int]) -> pl.DataFrame:
    import polars as pl

    days = [_FIRST_DAY + timedelta(days=int(batch)) for batch in sheet.batch]
    return pl.DataFrame(
        {
            **{name: sheet.x[:, n] for n, name in enumerate(features_of(sheet.x.shape[1]))},
            LABEL: [str(label) for label in sheet.given],
            "who": [f"c{who:04d}" for who in sheet.who],
            "ts": [day + timedelta(seconds=int(row)) for day, row in zip(days, sheet.row, strict=True)],
            "_source": [SOURCE] * len(sheet),
            "_batch": sheet.batch.astype(np.int64),
            "_row": sheet.row.astype(np.int64),
            "_by_contributor": [contributor(who) for who in sheet.who],
            "_by_batch": [f"{SOURCE}/{batch}" for batch in sheet.batch],
            "_by_source": [SOURCE] * len(sheet),
            "_by_day": [day.date().isoformat() for day in days],
            "_by_age": ["old" if who in old else "new" for who in sheet.who],
        }
    ).with_columns(pl.col("ts").cast(pl.Datetime("us", "UTC")))


def fresh_of(history: Sheet, new: Sheet, champion: Any) -> Fresh:
    """What the gate is given about two sheets; no `true` and no `bad` in it."""
    old = frozenset(history.who.tolist())
    sides = [_frame(side, old).sort("_source", "_batch", "_row") for side in (new, history)]
    return Fresh(table=TABLE, new=sides[0], history=sides[1], axes=AXES, contributor="who", time="ts", champion=champion)
