"""A text file read block by block: where each chunk ends, what was no line, and what cannot be read yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from headwater.collect.source import Chunk, Place, Reject
from headwater.connectors.blocks import Bytes
from headwater.connectors.delimited import HEAD
from headwater.connectors.opened import Opened, fingerprint
from headwater.connectors.positions import Position
from headwater.connectors.records import Cut, Format, Limits, Parsed, Places, parse, shown
from headwater.store.prefetch import mapped

__all__ = ["TextFile"]

_AT_ONCE = max(2, min(4, os.cpu_count() or 1))  # blocks that are parsed while the next is cut; each takes about three times its size


@dataclass
class TextFile:
    """One text file, read from a position on: chunks, each with the position after it.

    `left` tells, after the last one, how many bytes at the end are no record yet.
    """

    file: Opened
    stream: Bytes
    form: Format
    limits: Limits
    position: Position
    left: int = 0

    def __iter__(self) -> Iterator[tuple[Chunk, Position]]:
        head = self.stream.at(0, HEAD)
        begin = self.form.begin(head, self.stream.is_end(len(head)))
        if begin is None:
            if self.stream.failure is not None:
                yield self._failed(*self.stream.failure)
            self.left = self.file.size if self.stream.grows else 0
            return
        if self.position.bytes == 0:
            self.position = replace(self.position, bytes=begin, lines=head[:begin].count(b"\n"))
        if self.position.open:
            yield from self._continued()
        yield from self._read()
        if self.stream.failure is not None:
            yield self._failed(*self.stream.failure)

    def _read(self) -> Iterator[tuple[Chunk, Position]]:
        while not self.left and not self.stream.is_end(self.position.bytes):
            with closing(mapped(self._parsed, self._cuts(self.position.bytes), at_once=_AT_ONCE)) as pieces:
                for block, cut, last, parsed in pieces:
                    if cut.taken:
                        yield self._chunk(block, cut, last, parsed)
            if cut.taken:
                break
            if not cut.too_long:
                self.left = len(block) if block.strip() else 0
                break
            yield from self._too_long()

    def _cuts(self, at: int) -> Iterator[tuple[bytes, Cut, bool]]:
        """Blocks from byte `at` on, with where their records are, and whether the file ends with it; up to one that has none."""
        goes_on = True
        while goes_on and not self.stream.is_end(at):
            block = self.stream.at(at, self.limits.block)
            last = self.stream.is_end(at + len(block))
            cut = self.form.cut(block, last=last and self.stream.failure is None, grows=self.stream.grows)
            yield block, cut, last
            at += cut.taken
            goes_on = cut.taken > 0 and (cut.full or not last)

    def _parsed(self, piece: tuple[bytes, Cut, bool]) -> tuple[bytes, Cut, bool, Parsed]:
        block, cut, last = piece
        return block, cut, last, parse(self.form, block, cut, self.limits.part)

    def _chunk(self, block: bytes, cut: Cut, last: bool, parsed: Parsed) -> tuple[Chunk, Position]:
        rest = block[cut.taken :] if last and not cut.full else b""
        self.left = len(rest) if rest.strip() else 0
        before = self.position
        places = Places(self.file.name, block, before.bytes, before.lines)
        self._move(cut.taken, cut.lines, done=last and not cut.full, is_open=cut.unended)
        starts, ends = parsed.starts, parsed.ends

        def place(row: int) -> Place:
            return places.place(int(starts[row]), int(ends[row]))

        rejects = tuple(places.reject(one) for one in parsed.bad)
        return Chunk(rows=parsed.rows, cursor={}, rejects=rejects, place=place), self.position

    def _move(self, taken: int, lines: int, *, done: bool, is_open: bool = False) -> None:
        at = self.position.bytes + taken
        grows, file = self.stream.grows, self.file
        self.position = Position(
            bytes=at,
            lines=self.position.lines + lines,
            done=done and self.stream.failure is None,
            open=is_open,
            left=self.left if grows else 0,
            grows=grows,
            size=file.size,
            mtime=file.mtime,
            inode=file.inode,
            mark=fingerprint(file.handle, at if grows else file.size),
        )

    def _rejected(self, code: str, reason: str, raw: bytes, end: int, lines: int, done: bool) -> tuple[Chunk, Position]:
        place = Place(at=f"{self.file.name}:{self.position.lines + 1}@{self.position.bytes}", raw=shown(raw))
        self._move(end - self.position.bytes, lines, done=done)
        reject = Reject(code=code, reason=reason, place=place)
        return Chunk(rows=self.form.declared.empty_table(), cursor={}, rejects=(reject,)), self.position

    def _line_end(self) -> tuple[int, bool]:
        """Where the line at the position ends, and whether with a newline; holds a piece of it at a time."""
        at = self.position.bytes
        while part := self.stream.at(at, 1 << 20):
            newline = part.find(b"\n")
            if newline >= 0:
                return at + newline + 1, True
            at += len(part)
        return at, False

    def _too_long(self) -> Iterator[tuple[Chunk, Position]]:
        start = self.stream.at(self.position.bytes, HEAD)
        yield from self._skipped("line.too-long", f"the line is longer than {self.limits.line} bytes", start)

    def _continued(self) -> Iterator[tuple[Chunk, Position]]:
        start = self.stream.at(self.position.bytes, HEAD)
        raw = start.partition(b"\n")[0]
        if raw.strip(self.form.padding):
            yield from self._skipped("line.continued", "the line was taken as whole without its newline, then this was added to it", raw)

    def _skipped(self, code: str, reason: str, raw: bytes) -> Iterator[tuple[Chunk, Position]]:
        end, whole = self._line_end()
        if whole or not self.stream.grows:
            yield self._rejected(code, reason, raw[: end - self.position.bytes], end, int(whole), self.stream.is_end(end))
        else:
            self.left = end - self.position.bytes

    def _failed(self, code: str, reason: str) -> tuple[Chunk, Position]:
        rest = self.stream.at(self.position.bytes, HEAD)
        chunk, position = self._rejected(code, f"{reason}; what was before is read, the rest is lost", rest, self.position.bytes, 0, True)
        self.position = replace(position, done=True)
        return chunk, self.position
