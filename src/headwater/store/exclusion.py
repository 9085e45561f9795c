"""Exclusion: rows that a person took out. They stay in the lake; no snapshot shows them until they are released."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from headwater.core.digest import canonical_json
from headwater.store.blobs import Blobs

if TYPE_CHECKING:
    import polars as pl

    from headwater.collect.table import Table
    from headwater.core.keys import Keys
    from headwater.ledger.entries import Ledger
    from headwater.store.lake import Lake

__all__ = ["Exclusion", "active", "excluded_rows", "kept", "load", "resolved"]


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """What one entry of the ledger takes out: the rows of a contributor, a source or one of its batches, maybe since a time.

    In the ledger `name` is a contributor's pseudonym; resolved for a table it is the contributor as the rows have him.
    """

    entry: int
    kind: str
    name: str
    batch: int | None = None
    since: str | None = None


def active(ledger: Ledger) -> list[Exclusion]:
    """Every exclusion that was not released, oldest first."""
    released = {entry.body["excluded"] for entry in ledger.entries("released")}
    entries = [entry for entry in ledger.entries("excluded") if entry.seq not in released]
    return [Exclusion(entry=e.seq, **{name: e.body[name] for name in ("kind", "name", "batch", "since")}) for e in entries]


def resolved(table: Table, exclusions: Sequence[Exclusion], *, lake: Lake, keys: Keys) -> str | None:
    """The exclusions that can touch a table, with contributors by name, kept as a blob; None if there are none.

    The same exclusions give the same digest, whenever and in whatever order they were made.
    """
    stored = lake.table(f"tables/{table.name}")
    plain = [exclusion for exclusion in exclusions if exclusion.kind != "contributor"]
    pseudonyms = {exclusion.name: exclusion for exclusion in exclusions if exclusion.kind == "contributor"}
    if pseudonyms and table.contributor is not None and stored.exists():
        import polars as pl

        people = stored.scan().select(pl.col(table.contributor).drop_nulls().unique()).collect()[table.contributor]
        named = ((person, pseudonyms.get(keys.pseudonym(person))) for person in people)
        plain += [Exclusion(**{**asdict(found), "name": person}) for person, found in named if found is not None]
    if not plain:
        return None
    rules = {(e.kind, e.name, e.batch, e.since) for e in plain}
    told = [dict(zip(("kind", "name", "batch", "since"), rule, strict=True)) for rule in sorted(rules, key=str)]
    content = canonical_json({"contributor": table.contributor, "time": table.time, "rules": told})
    return Blobs(lake.root / "blobs").put(content)


def load(lake: Lake, digest: str | None) -> dict[str, Any]:
    """The rules that `resolved` kept, as they were. Raises `Broken` if somebody changed them."""
    if digest is None:
        return {"contributor": None, "time": None, "rules": []}
    found: dict[str, Any] = json.loads(Blobs(lake.root / "blobs").get(digest))
    return found


def kept(rows: pl.LazyFrame, lake: Lake, digest: str | None) -> pl.LazyFrame:
    """`rows` without what is taken out."""
    return rows.filter(~excluded_rows(load(lake, digest))) if digest else rows


def excluded_rows(rules: dict[str, Any]) -> pl.Expr:
    """Which rows the rules take out; never null."""
    import polars as pl

    whole = [rule["name"] for rule in rules["rules"] if rule["kind"] == "contributor" and rule["since"] is None]
    taken = [pl.lit(False)]
    if whole:
        taken.append(pl.col(rules["contributor"]).is_in(whole))
    taken += [_rule(rule, rules) for rule in rules["rules"] if rule["kind"] != "contributor" or rule["since"] is not None]
    found: pl.Expr = pl.any_horizontal(taken).fill_null(False)
    return found


def _rule(rule: dict[str, Any], rules: dict[str, Any]) -> pl.Expr:
    import polars as pl

    if rule["kind"] == "contributor":
        hit: pl.Expr = pl.col(rules["contributor"]) == rule["name"]
    else:
        hit = pl.col("_source") == rule["name"]
        if rule["batch"] is not None:
            hit = hit & (pl.col("_batch") == rule["batch"])
    if rule["since"] is not None and rules["time"] is not None:
        hit = hit & (pl.col(rules["time"]) >= datetime.fromisoformat(rule["since"]))
    return hit
