"""Positions: how far each file was read, as a cursor keeps it, and what must still be true of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headwater.collect.source import Cursor
from headwater.connectors.opened import Opened, fingerprint
from headwater.core.errors import DataError
from headwater.core.names import printable

__all__ = ["KIND", "Position", "check_unchanged", "cursor_of", "positions_of", "span"]

KIND = "files"


@dataclass(frozen=True, kw_only=True)
class Position:
    """What was consumed of one file.

    `bytes` and `lines` are consumed (of the unpacked text; for Parquet, `lines` are rows). `done`: it was read to the
    end it had. `open`: the last line had no newline yet. `left`: bytes at its end that no record can be made of yet.
    `grows`: what follows is read later, and `mark` is the fingerprint of the consumed part; else `mark` is of the whole file.
    """

    bytes: int = 0
    lines: int = 0
    done: bool = False
    open: bool = False
    left: int = 0
    grows: bool = True
    size: int = 0
    mtime: int = 0
    inode: int = 0
    mark: str = ""

    def is_finished(self) -> bool:
        """Whether nothing is missing if the file goes away now."""
        return self.done and not self.left

    def is_untouched(self, path: Path) -> bool:
        """Whether the file has been read to its end and nobody wrote to it since, told without reading it."""
        try:
            status = path.stat()
        except OSError:
            return False
        return self.done and (self.size, self.mtime, self.inode) == (status.st_size, status.st_mtime_ns, status.st_ino)


def positions_of(cursor: Cursor | None, source: str) -> dict[str, Position]:
    """The positions in a cursor of this connector. Raises `DataError` for another one's."""
    if cursor is None:
        return {}
    if cursor.get("kind") != KIND:
        raise DataError(f"source {source}: its cursor is of kind {cursor.get('kind')!r}; expected {KIND!r}. Give the new source a new name")
    return {name: Position(**position) for name, position in cursor["files"].items()}


def cursor_of(positions: Mapping[str, Position]) -> Cursor:
    """A cursor that holds `positions`: plain JSON."""
    return {"kind": KIND, "files": {name: asdict(positions[name]) for name in sorted(positions)}}


def check_unchanged(file: Opened, position: Position) -> None:
    """Raise `DataError` if what was consumed of `file` is no longer what is there."""
    if position.grows:
        broken = file.size < position.bytes or fingerprint(file.handle, position.bytes) != position.mark
        expected = f"its first {position.bytes} bytes as they were when they were read"
    else:
        broken = file.size != position.size or fingerprint(file.handle, file.size) != position.mark
        expected = f"its {position.size} bytes as they were when they were read"
    if broken:
        shown = printable(file.name)
        raise DataError(
            f"{shown} was changed behind our back: it has {file.size} bytes now. Expected {expected}. "
            f"Put the old file back; to have it read as new data, type: mv {shown} {Path(shown).with_name('new-' + Path(shown).name)}"
        )


def span(before: Cursor | None, after: Cursor) -> list[dict[str, Any]]:
    """What was read between two cursors: by file, the first and last line (row, for Parquet) and the bytes."""
    old = before["files"] if before else {}
    parts: list[dict[str, Any]] = []
    for name, now in after["files"].items():
        was = old.get(name, {"bytes": 0, "lines": 0})
        if (now["bytes"], now["lines"]) != (was["bytes"], was["lines"]):
            last = now["lines"] + int(now["open"])
            first = min(was["lines"] + 1, last)
            parts.append({"file": name, "first_line": first, "last_line": last, "first_byte": was["bytes"], "end_byte": now["bytes"]})
    return parts
