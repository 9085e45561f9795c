"""Bytes by position, from a plain file that may grow or from a packed one that is streamed."""

from __future__ import annotations

import os
import zlib
from typing import Protocol

from headwater.connectors.opened import Opened
from headwater.core.errors import DataError
from headwater.core.names import printable

__all__ = ["Bytes", "Packed", "Plain"]

_STEP = 1 << 20


class Bytes(Protocol):
    """Bytes by position. Positions asked for never go back.

    `grows`: what is missing at the end may come later. `failure`: code and reason why the end could not be read, known
    once it was reached.
    """

    grows: bool
    failure: tuple[str, str] | None

    def at(self, position: int, most: int) -> bytes:
        """Up to `most` bytes from `position`; fewer only at the end."""
        ...

    def is_end(self, position: int) -> bool:
        """Whether nothing follows `position`; asked of positions that `at()` has reached."""
        ...


class Plain:
    """A file as it was when it was opened: what is appended while it is read belongs to the next reading."""

    grows = True
    failure: tuple[str, str] | None = None

    def __init__(self, file: Opened) -> None:
        self._file = file

    def at(self, position: int, most: int) -> bytes:
        wanted = max(min(most, self._file.size - position), 0)
        parts: list[bytes] = []
        while wanted:
            part = os.pread(self._file.handle, wanted, position)
            if not part:
                raise DataError(
                    f"{printable(self._file.name)} shrank while it was read: it ended at byte {position}. "
                    f"Expected {self._file.size} bytes. Put the old file back, then type the same again"
                )
            parts.append(part)
            position, wanted = position + len(part), wanted - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def is_end(self, position: int) -> bool:
        return position >= self._file.size


class Packed:
    """A gzip file of any number of members, unpacked as it is read: a bomb costs time, never memory."""

    grows = False

    def __init__(self, file: Opened) -> None:
        self.failure: tuple[str, str] | None = None
        self._file = file
        self._read = 0
        self._input = b""
        self._start, self._ready = 0, bytearray()
        self._member = zlib.decompressobj(wbits=31)
        self._inside = self._ended = False

    def at(self, position: int, most: int) -> bytes:
        while not self._ended and self._start + len(self._ready) < position + most:
            if self._start + len(self._ready) <= position:
                self._start += len(self._ready)
                self._ready.clear()
            self._more()
        gone = min(position - self._start, len(self._ready))
        del self._ready[:gone]
        self._start += gone
        return bytes(memoryview(self._ready)[:most])

    def is_end(self, position: int) -> bool:
        if not self._ended and position >= self._start + len(self._ready):
            self.at(position, 1)
        return self._ended and position >= self._start + len(self._ready)

    def _more(self) -> None:
        if not self._input:
            self._input = os.pread(self._file.handle, 1 << 16, self._read)
            self._read += len(self._input)
        if not self._inside:
            self._input = self._input.lstrip(b"\0")  # members may be padded with zeros
        if not self._input:
            if self._read >= self._file.size:
                self._finish()
            return
        try:
            self._ready += self._member.decompress(self._input, _STEP)
        except zlib.error as error:
            self._ended, self.failure = True, ("gzip.corrupt", f"the gzip data is damaged: {error}")
            return
        self._inside, self._input = True, self._member.unconsumed_tail
        if self._member.eof:
            self._next_member()

    def _finish(self) -> None:
        if self._inside:
            self._ready += self._member.flush()
            if not self._member.eof:
                self.failure = ("gzip.truncated", "the gzip data ends in the middle")
        self._ended = True

    def _next_member(self) -> None:
        self._input = self._member.unused_data
        self._member, self._inside = zlib.decompressobj(wbits=31), False
