"""Exclusion: rows that a person or a gate took out. They stay in the lake; no snapshot shows them until they are released."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from headwater.core.digest import canonical_json
from headwater.core.gate import RowName
from headwater.store.blobs import Blobs

if TYPE_CHECKING:
    import polars as pl

    from headwater.collect.table import Table
    from headwater.core.keys import Keys
    from headwater.ledger.entries import Entry, Ledger
    from headwater.store.lake import Lake

__all__ = ["Exclusion", "active", "excluded_rows", "kept", "load", "name_rows", "named_rows", "resolved"]

_SAID = ("kind", "name", "batch", "since", "source")


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """What one entry of the ledger takes out: the rows of a contributor (maybe only those from one source), a source or
    one of its batches, maybe since a time; or single rows of a `table`, of which `name` is the digest of the blob that names them.

    In the ledger `name` is a contributor's pseudonym; resolved for a table it is the contributor as the rows have him.
    """

    entry: int
    kind: str
    name: str
    batch: int | None = None
    since: str | None = None
    source: str | None = None
    table: str | None = None

    @property
    def what(self) -> tuple[str, str, int | None, str | None, str | None]:
        """What it takes out, whichever entry says so."""
        return (self.kind, self.name, self.batch, self.since, self.source)


def active(ledger: Ledger) -> list[Exclusion]:
    """Every exclusion that was not released, oldest first."""
    released = {entry.body["excluded"] for entry in ledger.entries("released")}
    entries = [entry for entry in ledger.entries("excluded") if entry.seq not in released]
    return [_told(entry) for entry in entries]


def _told(entry: Entry) -> Exclusion:
    said: dict[str, Any] = {name: entry.body.get(name) for name in (*_SAID, "table")}
    return Exclusion(entry=entry.seq, **said)


def name_rows(rows: Iterable[RowName], *, lake: Lake) -> str:
    """Keep a list of rows as a blob; returns its digest. The same rows have the same digest, in whatever order."""
    found: dict[str, dict[str, list[int]]] = {}
    for source, batch, row in sorted(set(rows)):
        found.setdefault(source, {}).setdefault(str(batch), []).append(row)
    return Blobs(lake.root / "blobs").put(canonical_json(found))


def named_rows(digest: str, *, lake: Lake) -> dict[str, dict[str, list[int]]]:
    """The rows that `name_rows` kept: row numbers by source and batch. Raises `Broken` if somebody changed them."""
    found: dict[str, dict[str, list[int]]] = json.loads(Blobs(lake.root / "blobs").get(digest))
    return found


def resolved(table: Table, exclusions: Sequence[Exclusion], *, lake: Lake, keys: Keys) -> str | None:
    """The exclusions that can touch a table, with contributors by name, kept as a blob; None if there are none.

    The same exclusions give the same digest, whenever and in whatever order they were made.
    """
    stored = lake.table(f"tables/{table.name}")
    plain = [e for e in exclusions if e.kind != "contributor" and e.table in (None, table.name)]
    pseudonyms: dict[str, list[Exclusion]] = {}
    for exclusion in exclusions:
        if exclusion.kind == "contributor":
            pseudonyms.setdefault(exclusion.name, []).append(exclusion)
    if pseudonyms and table.contributor is not None and stored.exists():
        import polars as pl

        people = stored.scan().select(pl.col(table.contributor).drop_nulls().unique()).collect()[table.contributor]
        named = ((person, pseudonyms.get(keys.pseudonym(person), [])) for person in people)
        plain += [replace(exclusion, name=person) for person, found in named for exclusion in found]
    if not plain:
        return None
    rules = {e.what for e in plain}
    told = [dict(zip(_SAID, rule, strict=True)) for rule in sorted(rules, key=str)]
    content = canonical_json({"contributor": table.contributor, "time": table.time, "rules": told})
    return Blobs(lake.root / "blobs").put(content)


def load(lake: Lake, digest: str | None) -> dict[str, Any]:
    """The rules that `resolved` kept, as they were. Raises `Broken` if somebody changed them."""
    if digest is None:
        return {"contributor": None, "time": None, "rules": []}
    found: dict[str, Any] = json.loads(Blobs(lake.root / "blobs").get(digest))
    for rule in found["rules"]:
        if rule["kind"] == "rows":
            rule["rows"] = named_rows(rule["name"], lake=lake)
    return found


def kept(rows: pl.LazyFrame, lake: Lake, digest: str | None) -> pl.LazyFrame:
    """`rows` without what is taken out."""
    return rows.filter(~excluded_rows(load(lake, digest))) if digest else rows


def excluded_rows(rules: dict[str, Any]) -> pl.Expr:
    """Which rows the rules take out; never null."""
    import polars as pl

    whole = [rule["name"] for rule in rules["rules"] if _is_whole(rule)]
    taken = [pl.lit(False)]
    if whole:
        taken.append(pl.col(rules["contributor"]).is_in(whole))
    taken += [_rule(rule, rules) for rule in rules["rules"] if not _is_whole(rule)]
    found: pl.Expr = pl.any_horizontal(taken).fill_null(False)
    return found


def _is_whole(rule: dict[str, Any]) -> bool:
    return rule["kind"] == "contributor" and rule["since"] is None and rule["source"] is None


def _rule(rule: dict[str, Any], rules: dict[str, Any]) -> pl.Expr:
    import polars as pl

    if rule["kind"] == "rows":
        return pl.any_horizontal(
            (pl.col("_source") == source) & (pl.col("_batch") == int(batch)) & pl.col("_row").is_in(rows)
            for source, batches in rule["rows"].items()
            for batch, rows in batches.items()
        )
    if rule["kind"] == "contributor":
        hit: pl.Expr = pl.col(rules["contributor"]) == rule["name"]
        if rule["source"] is not None:
            hit = hit & (pl.col("_source") == rule["source"])
    else:
        hit = pl.col("_source") == rule["name"]
        if rule["batch"] is not None:
            hit = hit & (pl.col("_batch") == rule["batch"])
    if rule["since"] is not None and rules["time"] is not None:
        hit = hit & (pl.col(rules["time"]) >= datetime.fromisoformat(rule["since"]))
    return hit
