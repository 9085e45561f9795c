"""The peer of sessions in pandas: the table's Parquet files in, one Parquet file out."""

import json
import sys
from pathlib import Path

import pandas as pd

table, out = sys.argv[1:]
columns = ["user_id", "item_id", "ts", "kind"]
events = pd.concat([pd.read_parquet(path, columns=columns) for path in Path(table).glob("*.parquet")], ignore_index=True)
events = events.sort_values(["user_id", "ts"], kind="stable")
day = events["ts"].dt.floor("D")
begins = (events["user_id"] != events["user_id"].shift()) | (events["ts"].diff() > pd.Timedelta("30min")) | (day != day.shift())
events["number"] = begins.cumsum()
events["session"] = events.groupby("number")["ts"].transform("first")
for name, kind in {"views": "view", "carts": "cart", "purchases": "purchase"}.items():
    events[name] = (events["kind"] == kind).astype("int64")
made = (
    events.groupby(["number", "item_id"], sort=False)
    .agg(
        user_id=("user_id", "first"),
        ts=("ts", "last"),
        session=("session", "first"),
        views=("views", "sum"),
        carts=("carts", "sum"),
        purchases=("purchases", "sum"),
    )
    .reset_index()
)
made["seconds"] = (made["ts"] - made["session"]) // pd.Timedelta("1s")
made.drop(columns="number").to_parquet(out)
print(json.dumps({"rows": len(made), "views": int(made["views"].sum()), "seconds_in_sessions": int(made["seconds"].sum())}))
Path(out).unlink()
