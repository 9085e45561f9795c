"""Server: a real program that a test starts on a free port, stops, kills and starts again with the data it had."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import pytest

__all__ = ["SERVICES", "Server", "free_port", "program", "until"]

SERVICES = Path(os.environ.get("HEADWATER_SERVICES", ".services")).absolute()
"""Where `make services` puts what it installs."""

_STEP_S = 0.02


class Server(ABC):
    """One running server; a context manager. Its data lie in `folder` and outlive a `kill`.

    A subclass says what to install (`installed`), what to run (`command`), and how to know that it answers (`answers`).
    Where it is not installed the test is skipped, told at the end of the run; or it fails, where
    `HEADWATER_SERVICES_REQUIRED` is set, as it is in continuous integration.
    """

    kind: ClassVar[str]
    start_s: ClassVar[float] = 60.0

    def __init__(self, folder: Path) -> None:
        program = self.installed()
        if program is None:
            missing = f"no {self.kind} here. Type: make services"
            if os.environ.get("HEADWATER_SERVICES_REQUIRED"):
                pytest.fail(missing)
            pytest.skip(missing)
        self.program: str = program
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    @abstractmethod
    def installed(cls) -> str | None:
        """The program to run, None if it is not there."""

    @abstractmethod
    def command(self) -> list[str]:
        """What to run; made anew for each start."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it is ready. Any exception is a no."""

    def prepare(self) -> None:  # noqa: B027
        """Make what the first start needs: configuration, an empty database."""

    def environment(self) -> Mapping[str, str]:
        """What its environment has besides."""
        return {}

    def user(self) -> int | None:
        """The user it runs as, where it refuses to be root."""
        return None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.kill()

    def start(self) -> Self:
        """Start it on its port, with what is in its folder; returns once it answers."""
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment()},
                user=self.user(),
                start_new_session=True,
            )
        until(self._is_up, f"{self.kind} to answer", self.start_s)
        return self

    def _is_up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.kind} ended with {self.process.returncode}: {(self.folder / 'server.log').read_text()[-2000:]}")
        try:
            return self.answers()
        except RuntimeError:
            raise
        except Exception:  # noqa: BLE001 - whatever a client says before its server is up
            return False

    def stop(self) -> None:
        """End it as its administrator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def restart(self, *, kill: bool = True) -> None:
        """End it and start it again."""
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        self.process.wait(30)
        self.process = None


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(true: object, what: str, seconds: float = 30.0) -> None:
    """Return as soon as `true()` is. Raises `TimeoutError` that says what was waited for."""
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(_STEP_S)


def program(name: str, *places: Path) -> str | None:
    """A program by name: in one of `places`, or on the path."""
    for place in places:
        if os.access(place / name, os.X_OK):
            return str(place / name)
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
