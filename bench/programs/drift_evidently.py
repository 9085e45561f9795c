"""The peer of drift: evidently's preset, with the methods it chooses itself."""

import json
import sys
import time

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

started = time.perf_counter()
reference, current = (pd.read_parquet(f"{sys.argv[1]}/{side}.parquet") for side in ("reference", "current"))
result = Report([DataDriftPreset()]).run(current, reference).dict()
took = time.perf_counter() - started
first = result["metrics"][0]["value"]
print(json.dumps({"compared_s": round(took, 3), "columns": len(result["metrics"]) - 1, "drifted": int(first["count"])}))
