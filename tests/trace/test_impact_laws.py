"""Why and impact are two ways along one road: what a model was made from is what reaches it, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandera.polars as pandera
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.collect.source import Chunk, Cursor
from headwater.collect.table import Table
from headwater.core.errors import UsageError
from headwater.core.keys import Keys
from headwater.ledger.entries import Ledger
from headwater.store.commit import Collector
from headwater.store.lake import Lake
from headwater.store.snapshot import take_snapshot
from headwater.trace.impact import Subject, impact
from headwater.trace.why import why_model

PEOPLE = "abcd"


class Note(pandera.DataFrameModel):
    """A key and who wrote it."""

    note_id: str
    author: str


TABLES = [Table(name, contract=Note, key="note_id", contributor="author") for name in ("first", "second")]


@dataclass
class Once:
    """A source that has these authors' rows, after those of the rounds before."""

    name: str
    number: int
    authors: str

    def read(self, after: Cursor | None = None) -> Iterator[Chunk]:
        rows = pa.table({"note_id": [f"{self.name}-{self.number}-{i}" for i in range(len(self.authors))], "author": list(self.authors)})
        yield Chunk(rows=rows, cursor={"read": self.number})


rounds = st.lists(
    st.tuples(st.sampled_from(["first", "second"]), st.sampled_from(["north", "south"]), st.text(PEOPLE, min_size=1, max_size=4)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=15)
@given(steps=rounds, data=st.data())
def test_a_model_is_reached_by_those_and_only_those_whose_rows_are_in_its_snapshot(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("road")
    lake, ledger = Lake(home / "lake"), Ledger(home / "ledger.db", Keys.make(home / "keys"))
    written: list[tuple[str, str, int, str]] = []
    models: dict[str, list[tuple[str, str, int, str]]] = {}
    for table in TABLES:
        Collector(table, lake=lake, ledger=ledger).prepare()
    for number, (name, source, authors) in enumerate(steps, 1):
        table = next(table for table in TABLES if table.name == name)
        source = f"{source}-{name}"
        Collector(table, lake=lake, ledger=ledger).collect(Once(source, number, authors))
        batch = 1 + max((b for _, s, b, _ in written if s == source), default=0)
        written += [(name, source, batch, author) for author in authors]
        if data.draw(st.booleans()):
            snapshot = take_snapshot(TABLES, lake=lake, ledger=ledger)
            ledger.append("dataset", {"digest": f"data-{number}", "snapshot": snapshot.digest, "tables": {}})
            made = {"name": "m", "version": number, "model": f"model-{number}", "dataset": f"data-{number}"}
            ledger.append("model", {**made, "derivation": "", "metrics": {}})
            models[f"m@{number}"] = list(written)

    for author in PEOPLE:
        mine = {(table, source, batch) for table, source, batch, who in written if who == author}
        if not mine:
            with pytest.raises(UsageError, match="wrote no row"):
                impact(ledger, lake, Subject(kind="contributor", name=author), tables=TABLES)
            continue
        reached = impact(ledger, lake, Subject(kind="contributor", name=author), tables=TABLES)
        assert {(b["table"], b["_source"], b["_batch"]) for b in reached["batches"]} == mine
        assert reached["subject"]["rows"] == sum(who == author for *_, who in written)
        assert {m["model"] for m in reached["models"]} == {model for model, rows in models.items() if author in {who for *_, who in rows}}
    for model, rows in models.items():
        why = why_model(ledger, lake, model, tables=TABLES, span=lambda before, after: [])
        assert {(b["table"], b["source"], b["batch"]) for b in why["batches"]} == {row[:3] for row in rows}
        assert sum(b["rows"] for b in why["batches"]) == len(rows)
        counted = {t["table"]: (t["rows"], t["contributors"]) for t in why["tables"]}
        for table in TABLES:
            own = [who for name, _, _, who in rows if name == table.name]
            assert counted[table.name] == (len(own), len(set(own)))


def test_the_road_of_a_model_nobody_knows_is_an_error(tmp_path: Path) -> None:
    lake, ledger = Lake(tmp_path / "lake"), Ledger(tmp_path / "ledger.db", Keys.make(tmp_path / "keys"))
    with pytest.raises(UsageError, match="m@1"):
        why_model(ledger, lake, "m@1", tables=TABLES, span=lambda before, after: [])
