"""Lake: Delta tables in one place, each commit exactly once, old versions kept until `gc` says otherwise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from headwater.core.errors import Broken, Retryable, UsageError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from deltalake import DeltaTable

__all__ = ["Lake", "LakeTable"]

_CONFIGURATION: dict[str, str | None] = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.checkpointInterval": "100",
}
_COUNTED = ("_row", "_batch")  # columns that only count: delta-packed they cost next to nothing


class Lake:
    """The lake under one root. Paths below it: `tables/`, `rejected/`, `prepared/`, `blobs/`, `models/`, `deployments/`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def table(self, path: str) -> LakeTable:
        """The Delta table at `path` (`tables/events`), there or not yet."""
        return LakeTable(self.root / path, uri=f"lake:{path}")

    def tables(self, folder: str) -> list[str]:
        """Names of the tables below a folder of the lake, sorted."""
        home = self.root / folder
        return sorted(p.name for p in home.iterdir() if (p / "_delta_log").is_dir()) if home.is_dir() else []


class LakeTable:
    """One Delta table.

    Guarantees: a commit is whole or absent; a commit named `(app, number)` lands once, whoever repeats it and whenever
    he is killed; a version once read stays readable until `vacuum` drops it.
    """

    def __init__(self, path: Path, *, uri: str) -> None:
        self.path = path
        self.uri = uri

    def exists(self) -> bool:
        """Whether anything was ever committed."""
        return (self.path / "_delta_log").is_dir() and any((self.path / "_delta_log").glob("*.json"))

    def open(self, version: int | None = None) -> DeltaTable:
        """A fresh handle on a version (the newest by default). Raises `Broken` if the log cannot be read."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            return DeltaTable(str(self.path), version=version)
        except DeltaError as error:
            raise Broken(f"{self.uri} version {version if version is not None else 'newest'} cannot be opened: {error}") from error

    def version(self) -> int:
        """The newest version; -1 if there is none."""
        return int(self.open().version()) if self.exists() else -1

    def transaction(self, app: str) -> int | None:
        """The number of the last commit that `app` made here."""
        return self.open().transaction_version(app) if self.exists() else None

    def create(self, schema: pa.Schema) -> None:
        """Make the table, empty, unless it is there."""
        from deltalake import DeltaTable, Schema

        if not self.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            with self._writing():
                DeltaTable.create(str(self.path), schema=Schema.from_arrow(schema), mode="ignore", configuration=_CONFIGURATION)

    def append(self, rows: pa.Table, *, app: str, number: int) -> int:
        """Commit `rows` as `(app, number)`; returns the version they are in.

        Makes the table, or adds new nullable columns, as needed. If this or a later number of `app` has landed,
        nothing is written. Raises `Retryable` if another writer won the race, or the disk does not take it.
        """
        from deltalake import CommitProperties, Transaction, write_deltalake

        self.create(rows.schema)
        handle = self.open()
        landed = handle.transaction_version(app)
        if landed is not None and landed >= number:
            return int(handle.version())
        properties = CommitProperties(app_transactions=[Transaction(app, number)])
        with self._writing():
            if rows.num_rows:
                merge: Any = {"schema_mode": "merge"} if set(rows.column_names) != _column_names(handle) else {}
                writing = writer_properties(rows.column_names)
                write_deltalake(handle, rows, mode="append", commit_properties=properties, writer_properties=writing, **merge)
            else:
                handle.create_write_transaction([], mode="append", schema=handle.schema(), commit_properties=properties)
        return int(self.open().version())

    def write(self, rows: pa.RecordBatchReader, *, app: str, number: int, whole: bool = False) -> int:
        """Commit a stream of rows as `(app, number)` in bounded memory; returns the version they are in.

        `whole` replaces the rows and the schema that were there, and lands as `(app/whole, number)` too. Unlike `append`,
        a number that has landed already is another process's: `Retryable`, as when another writer wins the race or the
        disk does not take it. What the stream itself raises is wrapped in one too: keep it where it is raised.
        """
        from deltalake import CommitProperties, Transaction, write_deltalake

        self.create(rows.schema)
        handle = self.open()
        landed = handle.transaction_version(app)
        if landed is not None and landed >= number:
            raise Retryable(f"another process is writing {self.uri}: commit {number} of {app} has landed")
        transactions = [Transaction(app, number), *([Transaction(f"{app}/whole", number)] if whole else [])]
        how: Any = {"mode": "overwrite", "schema_mode": "overwrite"} if whole else {"mode": "append"}
        with self._writing():
            write_deltalake(
                handle,
                rows,
                commit_properties=CommitProperties(app_transactions=transactions),
                writer_properties=writer_properties(rows.schema.names),
                **how,
            )
        return int(handle.version())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What stops a write, in our words."""
        from deltalake.exceptions import CommitFailedError, DeltaError

        try:
            yield
        except CommitFailedError as error:
            raise Retryable(f"another process is writing {self.uri}: {error}") from error
        except (DeltaError, OSError) as error:
            raise Retryable(
                f"{self.uri} cannot be written: {error}. What was committed is kept; mend this, then type the same again"
            ) from error

    def scan(self, version: int | None = None) -> pl.LazyFrame:
        """The rows of a version, lazily and in no order: sort by `_source, _batch, _row` where order matters."""
        import polars as pl

        if not self.exists():
            raise UsageError(f"{self.uri} holds nothing yet. Type: headwater run")
        return pl.scan_delta(self.open(version))

    def files(self, version: int | None = None) -> list[str]:
        """The data files of a version, relative to the table."""
        import pyarrow as pa

        actions = pa.table(self.open(version).get_add_actions(flatten=True))
        return sorted(unquote(path) for path in actions.column("path").to_pylist())

    def written(self, *, app: str, number: int) -> dict[str, str]:
        """The data files that the commit `(app, number)` added, each with the SHA-256 of its bytes as they are now."""
        for path in sorted((self.path / "_delta_log").glob("*.json"), reverse=True):
            actions = [json.loads(line) for line in path.read_bytes().splitlines()]  # of bytes: text also ends at U+0085
            named = [action["txn"] for action in actions if "txn" in action]
            if any(txn["appId"] == app and txn["version"] == number for txn in named):
                return self.hashed(unquote(action["add"]["path"]) for action in actions if "add" in action)
        return {}

    def hashed(self, files: Iterable[str]) -> dict[str, str]:
        """The SHA-256 of files of this table; of one that is not there, the empty text."""
        return {file: _sha256(self.path / file) for file in files}

    def compact(self) -> Mapping[str, Any]:
        """Rewrite small files into large ones: the same rows, the same digests, one version more."""
        handle = self.open()
        names = sorted(_column_names(handle))
        with self._writing():
            return dict(handle.optimize.compact(writer_properties=writer_properties(names)))

    def vacuum(self, keep_versions: Iterable[int], *, dry_run: bool = False) -> list[str]:
        """Delete data files that none of `keep_versions` needs; returns their names."""
        handle = self.open()
        keep = sorted({*keep_versions, handle.version()})
        return list(handle.vacuum(retention_hours=0, dry_run=dry_run, enforce_retention_duration=False, keep_versions=keep, full=True))


def _sha256(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def writer_properties(names: Iterable[str]) -> Any:
    """How Parquet is written here: zstd, and counting columns delta-packed (0.1 % of the bytes instead of 13 %)."""
    from deltalake import ColumnProperties, WriterProperties

    packed = ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED")
    return WriterProperties(compression="ZSTD", compression_level=1, column_properties={name: packed for name in names if name in _COUNTED})


def _column_names(handle: DeltaTable) -> set[str]:
    return {field.name for field in handle.schema().fields}
