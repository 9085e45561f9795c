"""Files: JSON lines, CSV (both also packed with gzip) and Parquet, by path or glob, each record exactly once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl

import pyarrow as pa

from headwater.collect.source import Chunk, Cursor
from headwater.connectors.blocks import Packed, Plain
from headwater.connectors.delimited import Delimited, with_types
from headwater.connectors.jsonlines import JsonLines
from headwater.connectors.opened import Opened, Pattern, opened
from headwater.connectors.positions import Position, check_unchanged, cursor_of, positions_of
from headwater.connectors.records import Format, Limits
from headwater.connectors.textfile import TextFile
from headwater.core.errors import DataError, UsageError
from headwater.core.names import did_you_mean, printable

__all__ = ["FilesSource", "Limits"]

_ENDINGS = {".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_DATA = (*_ENDINGS, *(f"{ending}.gz" for ending in _ENDINGS))
_OPTIONS = {"format": ("json", "csv", "parquet"), "optional": ("yes", "no")}


@dataclass
class FilesSource:
    """Files below `root` as a source, in order of their names; new files, and what was appended to plain ones.

    `url` is a path or a glob, with `?format=json|csv|parquet` where the ending does not tell, and `&optional=yes` where
    no file yet, or one gone before its end, is no error. `schema` is what the contract expects; without one, columns are
    inferred chunk by chunk. `pending` tells, after a reading, which plain files end in half a record, and its bytes.

    Raises `UsageError` if nothing can be found or opened, `DataError` if what was consumed has changed, or is gone before
    its end. All consumed files are checked before the first new row is read.
    """

    name: str
    url: str
    schema: pa.Schema | None = field(kw_only=True)
    root: Path = field(kw_only=True)
    limits: Limits = field(default=Limits(), kw_only=True)
    pending: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        path, options = _split(self.url, self.name)
        self._format = options.get("format")
        self._optional = options.get("optional") == "yes"
        self._pattern = Pattern.of(path, self.root)

    def read(self, after: Cursor | None = None) -> Iterator[Chunk]:
        """Everything that came after the cursor `after`."""
        positions = positions_of(after, self.name)
        found = self._found(positions)
        self.pending = {name: positions[name].left for name in found if name in positions and positions[name].left}
        todo = {name: path for name, path in found.items() if name not in positions or not positions[name].is_untouched(path)}
        for name, path in todo.items():
            if name in positions:
                with opened(name, path, self._pattern.home) as file:
                    check_unchanged(file, positions[name])
        for name, path in todo.items():
            with opened(name, path, self._pattern.home) as file:
                for chunk, position in self._file(file, positions.get(name)):
                    positions[name] = position
                    yield replace(chunk, cursor=cursor_of(positions))

    def _found(self, positions: Mapping[str, Position]) -> dict[str, Path]:
        found = self._pattern.find(is_data=_DATA)
        if self._optional:
            return found
        gone = [name for name, position in positions.items() if name not in found and not position.is_finished()]
        if gone:
            raise DataError(
                f"source {self.name}: {printable(gone[0])} is gone before its end: it was read up to byte {positions[gone[0]].bytes}. "
                "Expected it to stay. Put it back, or give its rest up by adding the option optional=yes to the url of the source"
            )
        if not found and not positions:
            raise UsageError(
                f"source {self.name}: no file matches {printable(self._pattern.text)} in {printable(str(self._pattern.home))}. "
                f"Correct the path, or add ?optional=yes if files will come later"
            )
        return found

    def _file(self, file: Opened, position: Position | None) -> Iterator[tuple[Chunk, Position]]:
        if position is not None:
            check_unchanged(file, position)
        format_, packed = self._kind(file.name)
        if file.size == 0 or (position is not None and position.done and not position.grows):
            return
        if format_ == "parquet":
            from headwater.connectors.parquet import rows_of

            yield from rows_of(file, position, self.schema, self.limits)
            return
        form: Format = JsonLines(self.schema, self.limits) if format_ == "json" else Delimited(self.schema, self.limits, file.name)
        reading = TextFile(file, Packed(file) if packed else Plain(file), form, self.limits, position or Position(grows=not packed))
        for chunk, after in reading:
            yield (chunk if self.schema or format_ == "json" else replace(chunk, rows=with_types(chunk.rows))), after
        self.pending.pop(file.name, None)
        if reading.left:
            self.pending[file.name] = reading.left

    def _kind(self, name: str) -> tuple[str, bool]:
        packed = name.endswith(".gz")
        ending = Path(name.removesuffix(".gz")).suffix.lower()
        format_ = self._format or _ENDINGS.get(ending)
        if format_ is None or (packed and format_ == "parquet"):
            raise UsageError(
                f"source {self.name}: {printable(name)} does not tell its format. Expected {', '.join(_ENDINGS)}, or .gz of the text ones; "
                "or add ?format=json (csv, parquet) to the url"
            )
        return format_, packed


def _split(url: str, name: str) -> tuple[str, dict[str, str]]:
    """The path and the options of a url; a `?` with no option behind it is a wildcard."""
    path = url.removeprefix("file://")
    before, mark, query = path.rpartition("?")
    options = dict(parse_qsl(query, keep_blank_values=True)) if mark and "=" in query and "/" not in query else {}
    for option, value in options.items():
        if option not in _OPTIONS:
            raise UsageError(f"source {name}: files know no option {printable(option)!r}. {did_you_mean(option, _OPTIONS)}")
        if value not in _OPTIONS[option]:
            raise UsageError(f"source {name}: {option}={printable(value)!r}: expected one of {', '.join(_OPTIONS[option])}")
    return (before, options) if options else (path, {})
