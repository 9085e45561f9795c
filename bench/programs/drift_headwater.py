"""Drift with Headwater's probe: PSI, KS, Jensen–Shannon, Wasserstein and chi-square of each column."""

import json
import sys
import time

import polars as pl

from headwater.monitor.drift import Drift

started = time.perf_counter()
tables = {f"{side}/x": pl.scan_parquet(f"{sys.argv[1]}/{side}.parquet") for side in ("reference", "current")}
measures = Drift("x").measure(tables)
took = time.perf_counter() - started
print(json.dumps({"compared_s": round(took, 3), "columns": len(measures), "drifted": sum(one.status != "ok" for one in measures)}))
