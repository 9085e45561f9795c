"""A million rows of a lake's table: their digest, and SHA-256 of as many plain bytes."""

import hashlib
import json
import statistics
import sys
import time

import polars as pl

from headwater.core.digest import chunk_digests
from headwater.store.commit import stored_table

rows = stored_table(pl.scan_delta(sys.argv[1]).drop("_source", "_batch", "_row").head(1_000_000).collect())
plain = b"\x5a" * rows.nbytes
digests, hashes = [], []
for _ in range(5):
    started = time.perf_counter()
    chunk_digests(rows)
    between = time.perf_counter()
    hashlib.sha256(plain).digest()
    digests.append(between - started)
    hashes.append(time.perf_counter() - between)
best, plainly = statistics.median(digests), statistics.median(hashes)
said = {"digest_gb_s": rows.nbytes / best / 1e9, "sha256_gb_s": rows.nbytes / plainly / 1e9, "rows_s": rows.num_rows / best}
print(json.dumps({**said, "bytes": rows.nbytes}))
