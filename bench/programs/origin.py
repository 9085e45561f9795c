"""A lake's table written again, batch for batch, with and without where rows are from; then both compacted: bytes of live files."""

import json
import sys
from pathlib import Path

import polars as pl

from headwater.store.commit import stored_table
from headwater.store.lake import LakeTable


def size(table: LakeTable) -> int:
    return sum((table.path / name).stat().st_size for name in table.files())


def main(path: str, out: str) -> None:
    lake = LakeTable(Path(path), uri="lake")
    tables = {name: LakeTable(Path(out) / name, uri=name) for name in ("with", "without")}
    for batch in lake.scan().select("_batch").unique().collect()["_batch"].sort().to_list():
        rows = lake.scan().filter(pl.col("_batch") == batch).sort("_row").collect()
        tables["with"].append(stored_table(rows), app="bench", number=batch)
        tables["without"].append(stored_table(rows.drop("_source", "_batch", "_row")), app="bench", number=batch)
    found = {"before": {name: size(table) for name, table in tables.items()}}
    for table in tables.values():
        table.compact()
    found["after"] = {name: size(table) for name, table in tables.items()}
    print(json.dumps({**found, "lake": size(lake), "files": len(lake.files())}))


main(*sys.argv[1:])
