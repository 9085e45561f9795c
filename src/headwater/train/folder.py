"""Folders of models, read without following a link and made whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from headwater.core.errors import DataError, Refused, UsageError

__all__ = ["make_whole", "peek", "read_all"]

MAX_FILE = 64 * 1024**3


def read_all(root: Path, steps: tuple[str, ...], expected: frozenset[str]) -> dict[str, bytes]:
    """The bytes of exactly the `expected` files in `root/steps…`, each read once.

    Raises `UsageError` if there is no such folder; `Refused`, naming it, for a file that is missing, one too many, a
    link anywhere below `root`, or anything that is not a plain file.
    """
    shown = "/".join(steps)
    with _folder(root, steps) as handle:
        there = set(os.listdir(handle))  # noqa: PTH208 - through the handle, so that nobody swaps the folder meanwhile
        if there != expected:
            extra, missing = sorted(there - expected), sorted(expected - there)
            what = f"{extra[0]!r} does not belong there" if extra else f"{missing[0]} is missing"
            raise Refused(f"model {shown} is refused: {what}")
        return {name: _bytes(handle, name, shown) for name in sorted(expected)}


def peek(root: Path, steps: tuple[str, ...], name: str) -> bytes:
    """The bytes of one file, unverified, to choose by; nothing if it is not there or is no plain file."""
    try:
        with _folder(root, steps) as handle:
            return _bytes(handle, name, "/".join(steps))
    except (UsageError, Refused):
        return b""


@contextmanager
def _folder(root: Path, steps: tuple[str, ...]) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        handle = os.open(root, flags)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"there are no models in {root} yet. Type: headwater run") from None
    try:
        for step in steps:
            inner = _open(handle, step, flags, "/".join(steps))
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _open(folder: int, name: str, flags: int, shown: str) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        raise UsageError(f"there is no model {shown}") from None
    except OSError as error:  # ELOOP or ENOTDIR for a link, ENXIO for a socket
        raise Refused(f"model {shown} is refused: {name} is a link or cannot be opened ({error.strerror})") from error


def _bytes(folder: int, name: str, shown: str) -> bytes:
    handle = _open(folder, name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, shown)
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_FILE:
        os.close(handle)
        raise Refused(f"model {shown} is refused: {name} is no plain file of a sane size")
    with os.fdopen(handle, "rb") as file:
        return file.read()


def make_whole(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make `folder` with these files: after a crash it is there whole or not at all. The caller holds the lock."""
    if folder.parent.is_symlink():
        raise Refused(f"{folder.parent} is a link: models are not written through one")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # what a crash left
    try:
        part.mkdir(parents=True)
        for name, content in files.items():
            with open(part / name, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync(part)
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise DataError(f"{folder} could not be written: {error.strerror}. Nothing of it was kept") from error
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
