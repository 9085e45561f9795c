"""Measure: a whole command from outside (seconds, processor seconds, most memory), and two of them by turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "CouldNotRun", "Used", "by_turns", "run"]

ROOT = Path(__file__).resolve().parents[1]


class CouldNotRun(Exception):
    """A command that was to be measured failed; the message has the end of what it said."""


@dataclass(frozen=True, kw_only=True)
class Used:
    """What one command used. `rss` is the most memory it ever had resident, in bytes; `said` the JSON that it
    printed (alone, or as its last line)."""

    wall: float
    cpu: float
    rss: int
    said: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"wall_s": round(self.wall, 3), "cpu_s": round(self.cpu, 3), "rss_mb": self.rss >> 20, **self.said}


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> Used:
    """Run a command to its end, on a disk that has nothing left to write.

    This process stays small on purpose: Linux counts a parent's memory into its child's.
    """
    os.sync()  # or the first fsync of the one would wait for the bytes of the other before it
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err, env={**os.environ, **(env or {})}, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said, problem = _tail(out), _tail(err)
    if process.returncode:
        raise CouldNotRun(f"{' '.join(map(str, command))[:200]} ended with {process.returncode}: {problem[-500:] or said[-500:]}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Used(wall=wall, cpu=usage.ru_utime + usage.ru_stime, rss=usage.ru_maxrss * scale, said=_last_json(said))


def _tail(file: Any) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - 65_536))
    return str(file.read().decode(errors="replace"))


def _last_json(said: str) -> Mapping[str, Any]:
    for text in (said, said.strip().rpartition("\n")[2]):
        try:
            value = json.loads(text)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return {}


def by_turns(rounds: int, *each: Callable[[], Used]) -> list[Used]:
    """A B A B …: the run with the median seconds of each, so that a slow minute of the machine meets both."""
    runs: list[list[Used]] = [[] for _ in each]
    for _ in range(rounds):
        for found, one in zip(runs, each, strict=True):
            found.append(one())
    return [_median(found) for found in runs]


def _median(runs: Sequence[Used]) -> Used:
    wall = statistics.median(one.wall for one in runs)
    cpu = statistics.median(one.cpu for one in runs)
    nearest = min(runs, key=lambda one: abs(one.wall - wall))
    return Used(wall=wall, cpu=cpu, rss=max(one.rss for one in runs), said={**nearest.said, "runs_s": [round(one.wall, 2) for one in runs]})
