"""Segment: one growing file of a spool at a time. Whole lines, appended; a restart begins a new file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["NUMBER", "Sealed", "Segments", "sealed_from"]

NUMBER = "[0-9]" * 8  # as a glob: a writer `serve` does not take the files of a writer `serve-2` for its own


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A spool file that will never grow again: what it holds, for the ledger. `file` is relative to the spool."""

    stream: str
    file: str
    rows: int
    digest: str

    def to_json(self) -> dict[str, str | int]:
        """The body of the ledger entry `flushed`."""
        return asdict(self)


class Segments:
    """The files `<folder>/<writer>-<n>.jsonl` of one stream, written one after the other.

    Guarantees: a file only ever grows, by whole lines; where the disk took only part of a line, the rest of that line
    is what is written next. Not safe for several threads.
    """

    def __init__(self, folder: Path, writer: str, *, max_bytes: int, max_age_s: float) -> None:
        self.folder = folder
        self.writer = writer
        self.max_bytes = max_bytes
        self.max_age_s = max_age_s
        self._file: int | None = None
        self._path = folder
        self._rest = b""
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path | None:
        """The file that grows now, if there is one."""
        return self._path if self._file is not None else None

    def append(self, lines: bytes) -> None:
        """Append whole lines. Raises `OSError` if the disk did not take all of them; some may be there."""
        if self._file is None:
            self._begin()
        assert self._file is not None
        data = self._rest + lines
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:] if written else data)
        finally:
            if written == len(data):
                self._rest = b""
            elif self._rest or written:
                self._rest = self._begun(data, written)
            took = data if written == len(data) else data[:written]
            self._sha.update(took)
            self._size += written
            self._rows += took.count(b"\n")

    def sync(self) -> None:
        """Return once everything appended is on disk. After an `OSError`, seal: nobody knows what the file holds."""
        if self._file is not None:
            os.fdatasync(self._file)

    @property
    def is_due(self) -> bool:
        """Whether the file is large or old enough for the next one."""
        if self._file is None:
            return False
        return self._size >= self.max_bytes or time.monotonic() - self._began >= self.max_age_s

    def seal(self) -> Sealed | None:
        """Close the file; the next append begins another. Gives what it holds, or None if there is none."""
        if self._file is None:
            return None
        with suppress(OSError):
            os.fdatasync(self._file)
        os.close(self._file)
        self._file, self._rest = None, b""
        return Sealed(stream=self.folder.name, file=_name(self._path), rows=self._rows, digest="sha256:" + self._sha.hexdigest())

    def _begun(self, data: bytes, written: int) -> bytes:
        """What is missing of the line that the disk took in part; nothing if it stopped between two lines."""
        if written and data[written - 1 : written] == b"\n":
            return b""
        return data[written : data.index(b"\n", written) + 1]

    def _begin(self) -> None:
        known = [int(path.stem.rpartition("-")[2]) for path in self.folder.glob(f"{self.writer}-{NUMBER}.jsonl")]
        path = self.folder / f"{self.writer}-{max(known, default=0) + 1:08d}.jsonl"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._file, self._path = file, path
        self._size, self._rows, self._sha, self._began = 0, 0, hashlib.sha256(), time.monotonic()
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # or a power loss takes the file with its rows
        finally:
            os.close(folder)


def sealed_from(path: Path) -> Sealed | None:
    """What a file holds that a dead process left behind; None if a living one still writes it. Rows are whole lines."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        sha, rows = hashlib.sha256(), 0
        while part := file.read(1 << 20):
            sha.update(part)
            rows += part.count(b"\n")
    return Sealed(stream=path.parent.name, file=_name(path), rows=rows, digest="sha256:" + sha.hexdigest())


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
