"""Files found by a pattern and opened without leaving their folder: each once, hashed and read through the same handle."""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headwater.core.errors import DataError, UsageError
from headwater.core.names import contained, printable

__all__ = ["Opened", "Pattern", "fingerprint", "opened"]

_EDGE = 64 * 1024
_WILD = "*?["


@dataclass(frozen=True)
class Pattern:
    """A path or glob, and the folder that what it finds must lie in: the root, or for a path outside of it, its fixed part."""

    text: str
    home: Path

    @classmethod
    def of(cls, text: str, root: Path) -> Pattern:
        """Read `text` relative to `root`. Raises `UsageError` for an empty one."""
        if not text or "\0" in text:
            raise UsageError(f"the path {printable(text)!r} names no file. Expected a path or a glob: data/events/*.jsonl")
        path, home = Path(text), root.resolve()
        if not path.is_absolute():
            return cls(text, home)
        for base in (root.absolute(), home):
            if path.is_relative_to(base):
                return cls(str(path.relative_to(base)), home)
        fixed = path
        while any(letter in str(fixed) for letter in _WILD):
            fixed = fixed.parent
        base = fixed if fixed != path else path.parent
        return cls(str(path.relative_to(base)), base.resolve())

    def find(self, *, is_data: tuple[str, ...]) -> dict[str, Path]:
        """The files by name, in order of their names. A name is the path below home, as text.

        Raises `UsageError` for a link that leads out, and for a folder where a file is expected: one named without a
        wildcard, or one called like a data file (`is_data` are such endings).
        """
        literal = self.home / self.text
        wild = any(letter in self.text for letter in _WILD) and not os.path.lexists(literal)
        names = [self.text] * os.path.lexists(literal)
        if wild:  # glob, not Path.glob: it leaves hidden files out, which are often half written
            names = glob.glob(self.text, root_dir=self.home, recursive=True)  # noqa: PTH207
        found: dict[str, Path] = {}
        for name in sorted(names, key=os.fsencode):
            path = self.home / name
            contained(path, self.home)
            shown = os.fsencode(os.path.normpath(name)).decode("utf-8", "backslashreplace")
            if not path.is_dir():
                found[shown] = path
            elif not wild or name.endswith(is_data):
                raise UsageError(f"{printable(shown)} is a folder; expected a file. Type for the files in it: {printable(shown)}/*")
        return found


@dataclass(frozen=True)
class Opened:
    """An open file: its name, its handle, and what its status was when it was opened."""

    name: str
    handle: int
    size: int
    mtime: int
    inode: int


@contextmanager
def opened(name: str, path: Path, home: Path) -> Iterator[Opened]:
    """Open a regular file below `home`; no link is followed while opening, so none can be put in the way.

    Raises `DataError` if it is gone, `UsageError` if it may not be read or is no regular file.
    """
    shown = printable(name)
    try:
        handle = _open_inside(contained(path, home).relative_to(home).parts, home)
    except FileNotFoundError:
        raise DataError(
            f"{shown} was there and is gone. Expected it to stay until it is read. Put it back, then type the same again"
        ) from None
    except PermissionError:
        raise UsageError(f"{shown} may not be read by this user. Type: chmod u+r {shown}, or run as its owner") from None
    except OSError as error:
        raise UsageError(f"{shown} cannot be opened: {error.strerror}. Expected a regular file") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{shown} is not a regular file. Expected one of JSON lines, CSV or Parquet")
        yield Opened(name, handle, status.st_size, status.st_mtime_ns, status.st_ino)
    finally:
        os.close(handle)


def _open_inside(parts: tuple[str, ...], home: Path) -> int:
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)


def fingerprint(handle: int, length: int) -> str:
    """A digest of the first and the last 64 KiB of the first `length` bytes."""
    edge = min(length, _EDGE)
    digest = hashlib.sha256()
    for at in (0, length - edge):
        digest.update(hashlib.sha256(os.pread(handle, edge, at)).digest())
    return "sha256:" + digest.hexdigest()
