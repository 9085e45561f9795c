"""The peer of collect: dlt's own reader of JSON lines, into a Delta table."""

import json
import os
import sys
from pathlib import Path

folder, out = (Path(path).resolve() for path in sys.argv[1:])
os.environ.update(
    {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DESTINATION__FILESYSTEM__BUCKET_URL": (out / "lake").as_uri(),
        "DLT_DATA_DIR": str(out / "dlt"),
        "RUNTIME__LOG_LEVEL": "ERROR",
    }
)
import dlt  # noqa: E402 - its settings are read when it is imported
from dlt.sources.filesystem import filesystem, read_jsonl  # noqa: E402

lines = filesystem(bucket_url=folder.as_uri(), file_glob="*.jsonl") | read_jsonl()
pipeline = dlt.pipeline("bench", destination="filesystem", dataset_name="shop", pipelines_dir=str(out / "pipelines"))
pipeline.run(lines.with_name("events"), table_format="delta", write_disposition="append")
counts = pipeline.last_trace.last_normalize_info.row_counts
print(json.dumps({"rows": counts["events"]}))
