"""How many users the newest MORE rows of a table are by, and how many of all rows those users own."""

import json
import sys

import polars as pl

table, more = sys.argv[1], int(sys.argv[2])
rows = pl.scan_delta(table).select("user_id", "_batch", "_row").collect()
newest = rows.sort("_batch", "_row").tail(more).select("user_id").unique()
owned = rows.join(newest, on="user_id", how="semi").height
print(json.dumps({"users": newest.height, "all_users": rows["user_id"].n_unique(), "share_of_rows": owned / rows.height}))
