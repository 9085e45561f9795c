"""One recommendation over REST, with key, checks and log, on one core; beside plain FastAPI around the same model."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from bench import data
from bench.budget import Bench, Line, Sizes
from bench.environments import headwater, program
from bench.server import api_key, load, serving

__all__ = ["BENCH"]

RATE, MOST_P99_MS, LEAST = 500.0, 10.0, 0.8
LATENCY = "REST, one core, 500 requests/s: p50 and p99"
THROUGHPUT = "REST, one core, as fast as it answers"


def _run(sizes: Sizes) -> list[Line]:
    project = data.shop_model()
    key = api_key(project)
    ours: list[dict[str, Any]] = []
    plain: list[dict[str, Any]] = []
    for _ in range(sizes.rounds):
        ours.append(_asked(headwater("serve", "-C", project, "--port", "0"), sizes.serve_s, key))
        plain.append(_asked(program("plain_server", project), sizes.serve_s, None))
    a, b = _median(ours), _median(plain)
    by_wall, by_cpu = a["per_s"] / b["per_s"], b["cpu_us"] / a["cpu_us"] if a["cpu_us"] else 0.0
    figures = {"ours": ours, "peer": plain}
    return [
        Line(
            what=LATENCY,
            ours=f"{a['p50_ms']:.2f} ms, {a['p99_ms']:.2f} ms",
            peer=f"plain FastAPI {b['p50_ms']:.2f} ms, {b['p99_ms']:.2f} ms",
            budget=f"p99 < {MOST_P99_MS:g} ms",
            met=a["p99_ms"] < MOST_P99_MS,
            figures=figures,
        ),
        Line(
            what=THROUGHPUT,
            ours=f"{a['per_s']:,.0f}/s, {a['cpu_us']:.0f} µs of CPU each",
            peer=f"plain FastAPI {b['per_s']:,.0f}/s, {b['cpu_us']:.0f} µs",
            ratio=f"{by_wall:.2f} × (CPU {by_cpu:.2f} ×)",
            budget=f"≥ {LEAST} ×",
            met=by_wall >= LEAST,
            figures=figures,
        ),
    ]


def _asked(command: list[str | Path], seconds: float, key: str | None) -> dict[str, Any]:
    with serving(command) as (port, pid):
        by_schedule = load(port, seconds, RATE, key, server=pid)
        flat_out = load(port, seconds, 0, key, server=pid)
    times = {name: by_schedule[name] for name in ("p50_ms", "p99_ms", "p999_ms")}
    return {**times, "requests": by_schedule["requests"], "per_s": flat_out["per_s"], "cpu_us": flat_out["cpu_us"]}


def _median(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


BENCH = Bench("serve", (LATENCY, THROUGHPUT), _run)
