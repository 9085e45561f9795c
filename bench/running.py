"""Running: benches one after another; each tells its lines, and keeps them, as soon as it has them."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bench.measure import CouldNotRun

__all__ = ["RESULTS", "as_json", "machine", "run_each"]

RESULTS = Path(__file__).parent / "results"


class Told(Protocol):
    """A measured line, as a table and as JSON."""

    def cells(self) -> Sequence[str]: ...
    def to_json(self) -> dict[str, Any]: ...


LineT = TypeVar("LineT", bound=Told)


def run_each(
    names: Sequence[str], run: Callable[[str], Sequence[LineT]], stem: Callable[[str], str], sizes: Mapping[str, Any]
) -> tuple[dict[str, Sequence[LineT]], list[str]]:
    """The lines of each, and the names of those that could not run. Each is kept as `results/STEM.json`."""
    lines: dict[str, Sequence[LineT]] = {}
    failed: list[str] = []
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        started = time.perf_counter()
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            found = lines[name] = run(name)
        except CouldNotRun as error:
            print(f"{name} could not run: {error}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        took = time.perf_counter() - started
        result = {"bench": name, "machine": machine(), "sizes": sizes, "took_s": took, "lines": [line.to_json() for line in found]}
        (RESULTS / f"{stem(name)}.json").write_text(as_json(result) + "\n")
        for line in found:
            print(f"  {' · '.join(cell for cell in line.cells() if cell)}", file=sys.stderr, flush=True)
        print(f"  ({took:.0f} s)", file=sys.stderr, flush=True)
    return lines, failed


def machine() -> str:
    """Where and how busy."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, load {load:.1f}"


def as_json(value: object) -> str:
    """JSON for a person to read; NumPy's numbers and arrays as plain ones."""
    return json.dumps(value, indent=1, default=_plain)


def _plain(value: Any) -> object:
    return value.item() if hasattr(value, "item") else value.tolist() if hasattr(value, "tolist") else str(value)
