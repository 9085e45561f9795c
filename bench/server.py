"""A server in a process of its own, on a core of its own, and the load that is put on it from another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.environments import headwater, program
from bench.measure import ROOT, CouldNotRun, run

__all__ = ["api_key", "core", "load", "loading", "serving"]


def core(number: int) -> Any:
    """For `preexec_fn`: stay on one core, where the system lets us choose."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cores[number % len(cores)]})


@contextmanager
def serving(command: Sequence[str | Path]) -> Iterator[tuple[str, int]]:
    """Start a server that says `… http://HOST:PORT` once it listens; gives its port as text, and its process's id."""
    words = [str(part) for part in command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=core(0)) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().strip()
            if "http://" not in said:
                raise CouldNotRun(f"{' '.join(words)[:200]} did not serve: {said!r}")
            yield said.rsplit(":", 1)[1].strip("/"), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def loading(port: str, seconds: float, rate: float, key: str | None = None, *, server: int = 0) -> subprocess.Popen[str]:
    """Begin to ask; `rate` requests a second whatever the answers (0: each of 16 callers as soon as it has its answer)."""
    command = program("load", port, seconds, rate, server, key or "-")
    words = [str(part) for part in command]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=core(1))


def load(port: str, seconds: float, rate: float, key: str | None = None, *, server: int = 0) -> dict[str, Any]:
    """Ask to the end; what was measured."""
    with loading(port, seconds, rate, key, server=server) as process:
        said, _ = process.communicate()
    if process.returncode:
        raise CouldNotRun(f"the load ended with {process.returncode}: {said[-300:]}")
    found: dict[str, Any] = json.loads(said)
    if found["failed"]:
        raise CouldNotRun(f"{found['failed']} of {found['requests']} requests failed: {found['first_failure']}")
    return found


def api_key(project: Path) -> str:
    """A key of that project for asking."""
    return str(run(headwater("key", f"bench-{os.getpid()}-{os.urandom(3).hex()}", "-C", project, "-o", "json")).said["key"])


if sys.platform == "win32":
    raise CouldNotRun("the benches need os.wait4, which Windows has not")
