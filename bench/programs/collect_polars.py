"""The peer of collect: read the lines, read the times, write a Delta table. No contract, no provenance, no rejects."""

import json
import sys

import polars as pl

folder, out = sys.argv[1:]
names = ("event_id", "user_id", "item_id", "ts", "kind")
events = pl.scan_ndjson(f"{folder}/*.jsonl", schema=dict.fromkeys(names, pl.String))
times = pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC")
frame = events.with_columns(times).collect()
frame.write_delta(out)
print(json.dumps({"rows": frame.height}))
