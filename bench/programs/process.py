"""Some steps of a project through `process`, from scratch or not; says how long it took and, if asked, what the sessions add up to."""

import json
import sys
import time

import polars as pl

from headwater.pipeline import build
from headwater.pipeline.project import Project
from headwater.process.process import process
from headwater.store.snapshot import take_snapshot


def main(folder: str, *names: str) -> None:
    rebuild = "--increment" not in names
    project = Project.open(folder)
    steps = [step for step in project.pipeline.process if step.name in names]
    tables = build.read_tables(project.pipeline)
    started = time.perf_counter()
    prepared = process(
        take_snapshot(tables, lake=project.lake, ledger=project.ledger),
        steps,
        lake=project.lake,
        ledger=project.ledger,
        engine=build.engine(project.profile),
        contributors={table.name: table.contributor for table in tables},
        rebuild=[step.name for step in steps] if rebuild else (),
    )
    took = time.perf_counter() - started
    said = {"process_s": round(took, 3), "facts": dict(prepared.facts)}
    if "--sums" in names:
        sums = prepared.scan(project.lake, "sessions").select(
            rows=pl.len(), views=pl.col("views").sum(), seconds_in_sessions=pl.col("seconds").sum()
        )
        said |= sums.collect().row(0, named=True)
    print(json.dumps(said))


main(*sys.argv[1:])
