"""A lake's table and the same rows without where they are from, batch for batch; then both compacted: bytes of the live files."""

import json
import shutil
import sys
from pathlib import Path

import polars as pl

from headwater.store.commit import stored_table
from headwater.store.lake import LakeTable


def size(table: LakeTable) -> int:
    return sum((table.path / name).stat().st_size for name in table.files())


def main(path: str, out: str) -> None:
    shutil.copytree(path, Path(out) / "with")
    whole, bare = LakeTable(Path(out) / "with", uri="with"), LakeTable(Path(out) / "without", uri="without")
    batches = whole.scan().select("_batch").unique().collect()["_batch"].sort().to_list()
    for batch in batches:
        rows = whole.scan().filter(pl.col("_batch") == batch).sort("_row").drop("_source", "_batch", "_row").collect()
        bare.append(stored_table(rows), app="bare", number=batch)
    found = {"before": {"with": size(whole), "without": size(bare), "files": len(whole.files())}}
    for table in (whole, bare):
        table.compact()
    found["after"] = {"with": size(whole), "without": size(bare), "files": len(whole.files())}
    print(json.dumps(found))


main(*sys.argv[1:])
