"""Admission: how much one contributor, or all new accounts together, may weigh. What is beyond is left out, the same each time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headwater.core.artifact import Artifact
from headwater.core.gate import Action, Evidence, Finding, RowName, Severity, Verdict
from headwater.core.names import printable
from headwater.retrain.fresh import group_column

if TYPE_CHECKING:
    import polars as pl

    from headwater.core.artifact import Fact
    from headwater.retrain.fresh import Fresh

__all__ = ["Admission", "Caps", "admitted"]

NAME = ("_source", "_batch", "_row")
CODE = "admission.cap"
FAITHFUL = 3.0  # times his share of history: so much anybody may bring
LEAST_GROUPS = 30  # contributors that history must know before it says what is usual


@dataclass(frozen=True, kw_only=True)
class Caps:
    """How much is too much, beyond what history has seen: an honest crowd is not touched by any of them.

    `quantile` of history's contributors set how many rows one may bring, `margin` times that; never less than `least_rows`, and
    nobody less than three times his share of history. `newcomers`: how many new accounts an item may win for each user it had, or
    `margin` times the most that history has seen if that is more; items with fewer than `least_users` are left alone. `per_item`:
    how many rows of one contributor may be about one item (None: as history has it).
    """

    quantile: float = 0.999
    margin: float = 1.5
    least_rows: int = 50
    newcomers: float = 1.0
    least_users: int = 20
    per_item: int | None = None


@dataclass(frozen=True)
class Admission:
    """The gate of any table with contributors: none may bring more than history makes likely.

    With `item`, no contributor's rows about one item beyond the cap count, and new accounts may not take an item over.
    """

    table: str
    item: str | None = None
    caps: Caps = field(default_factory=Caps)

    @property
    def name(self) -> str:
        return f"admission/{self.table}"

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
        fresh: Fresh = evidence.inputs["fresh"][self.table]
        findings = admitted(fresh, self.caps, item=self.item, seed=int(evidence.inputs.get("seed", 0)))
        return Verdict(gate=self.name, digest=artifact.digest, findings=findings)


def admitted(fresh: Fresh, caps: Caps, *, item: str | None = None, seed: int = 0) -> tuple[Finding, ...]:
    """What is beyond the caps, named row by row. Which of a contributor's rows stay is drawn by a seeded hash of their names.

    Without contributors, or a history of enough of them, nothing is asked for.
    """
    column = group_column("contributor")
    if "contributor" not in fresh.axes or not fresh.new.height or fresh.history[column].n_unique() < LEAST_GROUPS:
        return ()
    rows, history = _plain(fresh.new, column, item), _plain(fresh.history, column, item)
    findings = [*_loud(rows, history, caps, fresh.table, seed)]
    if item is not None:
        told, before = rows.drop_nulls("what"), history.drop_nulls("what")
        findings += [*_insistent(told, before, caps, fresh.table, seed), *_flooded(told, before, caps, fresh.table, seed)]
    return tuple(findings)


def _plain(frame: pl.DataFrame, column: str, item: str | None) -> pl.DataFrame:
    import polars as pl

    what = pl.lit(None, pl.String) if item is None else pl.col(item).cast(pl.String)
    return frame.lazy().select(*NAME, who=pl.col(column), what=what).filter(pl.col("who").is_not_null()).collect()


def _beyond(rows: pl.DataFrame, keys: Sequence[str], most: pl.Expr, seed: int) -> pl.DataFrame:
    """The rows that are too many of each group. Which ones is drawn by lot: the same lot each time, wherever a row stands."""
    import polars as pl

    full = rows.filter(pl.len().over(keys) > most)
    lots = [hashlib.blake2b(f"{seed}\0{s}\0{b}\0{r}".encode(), digest_size=8).hexdigest() for s, b, r in full.select(NAME).iter_rows()]
    drawn = full.with_columns(lot=pl.Series(lots, dtype=pl.String)).sort("lot", *NAME)
    return drawn.filter(pl.int_range(pl.len()).over(keys) >= most)


def _most(counts: pl.Series, caps: Caps, least: int) -> int:
    usual = counts.quantile(caps.quantile, interpolation="higher")
    return max(least, math.ceil(caps.margin * float(usual or 0)))


def _loud(rows: pl.DataFrame, history: pl.DataFrame, caps: Caps, table: str, seed: int) -> list[Finding]:
    """Contributors with more new rows than history's busiest ever brought."""
    import polars as pl

    counts = history.group_by("who").agg(had=pl.len())
    most = _most(counts["had"], caps, caps.least_rows)
    own = (pl.col("had") * (FAITHFUL * rows.height / max(history.height, 1))).ceil().cast(pl.Int64).fill_null(0)
    brought = rows.join(counts, on="who", how="left").with_columns(most=pl.max_horizontal(own, pl.lit(most)))
    beyond = _beyond(brought, ["who"], pl.col("most"), seed)
    allowed = dict(beyond.select("who", "most").iter_rows())
    return [
        _cap(
            table,
            f"contributor:{who}",
            names,
            f"contributor brought {allowed[who] + len(names)} rows where {allowed[who]} are the most",
            allowed[who],
        )
        for who, names in _by(beyond, "who").items()
    ]


def _insistent(rows: pl.DataFrame, history: pl.DataFrame, caps: Caps, table: str, seed: int) -> list[Finding]:
    """Contributors who wrote about one item again and again."""
    import polars as pl

    most = caps.per_item or _most(history.group_by("who", "what").len()["len"], caps, 3)
    beyond = _by(_beyond(rows, ["who", "what"], pl.lit(most), seed), "who")
    return [
        _cap(table, f"contributor:{who}", names, f"contributor wrote more than {most} rows about one item", most)
        for who, names in beyond.items()
    ]


def _flooded(rows: pl.DataFrame, history: pl.DataFrame, caps: Caps, table: str, seed: int) -> list[Finding]:
    """Items that new accounts would take over: so many of them are left out that they are no more, for each user it had, than
    is allowed."""
    import polars as pl

    ratio = max(caps.newcomers, caps.margin * _taken_over(history, rows.height, caps))
    newcomers, counts = _crowd(history, rows, caps)
    old = pl.col("users") - pl.col("new")
    full = counts.with_columns(stay=(old.clip(1) * ratio).ceil().cast(pl.Int64)).filter(pl.col("new") > pl.col("stay"))
    crowd = newcomers.sort(NAME).unique(["what", "who"], keep="first", maintain_order=True).join(full, on="what")
    beyond = _beyond(crowd, ["what"], pl.col("stay"), seed).select("what", "who")
    named = _by(newcomers.join(beyond, on=["what", "who"], how="semi"), "what")
    numbers = {what: (new, users) for what, new, users in full.select("what", "new", "users").iter_rows()}
    return [
        _cap(
            table,
            f"item:{what}",
            names,
            f"{numbers[what][0]} of {numbers[what][1]} users of {printable(what)} are new accounts",
            round(ratio, 4),
        )
        for what, names in named.items()
    ]


def _crowd(history: pl.DataFrame, rows: pl.DataFrame, caps: Caps) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of new accounts about items that were there before; and for each item how many `users`, how many `new`."""
    import polars as pl

    known = history["who"].unique().implode()
    newcomers = rows.filter(~pl.col("who").is_in(known))
    pairs = pl.concat([history.select("who", "what"), rows.select("who", "what")]).unique().with_columns(new=~pl.col("who").is_in(known))
    counts = pairs.group_by("what").agg(users=pl.len(), new=pl.col("new").sum())
    launched = ~pl.col("what").is_in(history["what"].unique().implode())
    return newcomers, counts.filter((pl.col("users") >= caps.least_users) & ~launched)


def _taken_over(history: pl.DataFrame, size: int, caps: Caps) -> float:
    """How many new accounts an item won for each user it had, at most, in a part of history as large as what is new."""
    ordered = history.sort("_batch", "_source", "_row")
    ratios = [0.0]
    for last in range(ordered.height, max(ordered.height // 3, size), -max(size, ordered.height // 6)):
        first = last - size
        counts = _crowd(ordered[:first], ordered[first:last], caps)[1]
        ratios += (counts["new"] / (counts["users"] - counts["new"]).clip(1)).to_list()
    return max(ratios)


def _by(rows: pl.DataFrame, key: str) -> dict[str, tuple[RowName, ...]]:
    found: dict[str, list[RowName]] = {}
    for group, *name in rows.select(key, *NAME).sort(key, *NAME).iter_rows():
        found.setdefault(str(group), []).append((name[0], name[1], name[2]))
    return {group: tuple(names) for group, names in found.items()}


def _cap(table: str, subject: str, rows: tuple[RowName, ...], message: str, most: float) -> Finding:
    evidence: Mapping[str, Fact] = {"most": most, "beyond": len(rows)}
    return Finding(
        severity=Severity.REVIEW,
        code=CODE,
        subject=subject,
        message=message,
        evidence=evidence,
        action=Action.DOWN_WEIGHT,
        table=table,
        rows=rows,
    )
