"""The peer of sessions: the shop's step, written out as one would without Headwater; Delta in, Delta out."""

import json
import sys

import polars as pl

table, out = sys.argv[1:]
KINDS = {"views": "view", "carts": "cart", "purchases": "purchase"}


def changes(column: str) -> pl.Expr:
    return pl.col(column) != pl.col(column).shift()


ts, counts = pl.col("ts"), pl.col(*KINDS)
begins = changes("user_id") | (ts - ts.shift() > pl.duration(minutes=30)) | (ts.dt.date() != ts.shift().dt.date())
by_time = (
    pl.scan_delta(table)
    .select("user_id", "item_id", "ts", *(pl.col("kind").eq(kind).cast(pl.Int64).alias(column) for column, kind in KINDS.items()))
    .sort("user_id", "ts")
    .with_columns(begins=begins.fill_null(True))
    .with_columns(number=pl.col("begins").cum_sum(), session=pl.when("begins").then(ts).forward_fill())
)
by_item = (
    by_time.sort("number", "item_id", "ts")
    .with_columns(first=(changes("number") | changes("item_id")).fill_null(True))
    .with_columns(counts.cum_sum(), last=pl.col("first").shift(-1).fill_null(True))
    .filter("last")
    .with_columns(counts.diff().fill_null(counts), seconds=(ts - pl.col("session")).dt.total_seconds())
)
made = by_item.select("user_id", "item_id", "ts", "session", "seconds", *KINDS).collect()
made.write_delta(out)
print(json.dumps({"rows": made.height, "views": int(made["views"].sum()), "seconds_in_sessions": int(made["seconds"].sum())}))
