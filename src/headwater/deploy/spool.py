"""Spool: the predictions and the feedback of one server, as JSON lines in a local folder that `collect` reads."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import orjson

from headwater.core.files import locked, write_whole
from headwater.core.names import check_name
from headwater.deploy.segment import NUMBER, Sealed, Segments, sealed_from

__all__ = ["OnFlush", "Spool"]

OnFlush = Callable[[Sealed], object]
Done = Callable[[OSError | None], None]
_LINE = orjson.OPT_APPEND_NEWLINE
_MOST_WAITING = 10_000


class Spool:
    """Two streams, `<folder>/predictions/` and `<folder>/feedback/`, each in files `<writer>-<n>.jsonl`.

    Guarantees: files grow by whole lines and are never changed; a file left by a killed process is never continued. A
    prediction is handed to the operating system before it is answered: it survives a killed process, not a power loss. Feedback is
    synced to disk before it is acknowledged; syncs are shared by what waits (group commit, no timer). `on_flush` is
    called once for each file that will not grow again, also for those a killed process left; if it fails it is called
    again later, so it may see the same file twice. One process a writer.
    """

    def __init__(
        self,
        folder: Path,
        *,
        writer: str = "serve",
        on_flush: OnFlush | None = None,
        max_bytes: int = 64 * 1024 * 1024,
        max_age_s: float = 3600.0,
    ) -> None:
        self.folder = folder
        self._on_flush = on_flush
        self._open = ExitStack()
        self._open.enter_context(locked(folder / f".{check_name(writer, 'writer')}.lock", f"the spool {folder} of the writer {writer!r}"))
        self._predictions = Segments(folder / "predictions", writer, max_bytes=max_bytes, max_age_s=max_age_s)
        self._feedback = Segments(folder / "feedback", writer, max_bytes=max_bytes, max_age_s=max_age_s)
        self._writing = threading.Lock()  # of predictions
        self._syncing = threading.Lock()  # of feedback
        self._telling = threading.Lock()
        self._ready = threading.Condition()
        self._waiting: list[tuple[bytes, Done]] = []
        self._unsealed: list[Sealed] = self._left_behind(writer)
        self._closing = False
        self._stopped = threading.Event()
        self.lost_predictions = 0
        self.problem: str | None = None
        """Why rows are not being written, in one word (`full`, `failed`), or None."""
        self._threads = [threading.Thread(target=run, name=f"spool-{run.__name__}", daemon=True) for run in (self._commit, self._tend)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Feedback rows that are not on disk yet."""
        return len(self._waiting)

    @property
    def unsealed(self) -> int:
        """Closed files that the ledger does not know yet."""
        return len(self._unsealed)

    def add_predictions(self, rows: list[dict[str, object]]) -> bool:
        """Append rows in one write. False if the disk did not take them: they are counted as lost, serving goes on."""
        lines = b"".join([orjson.dumps(row, option=_LINE) for row in rows])
        with self._writing:
            try:
                self._predictions.append(lines)
            except OSError as error:
                self.lost_predictions += len(rows)
                self._failed(error)
                return False
            if self.problem is not None:
                self.problem = None
            if self._predictions.is_due:
                self._seal(self._predictions)
        return True

    def add_feedback(self, row: dict[str, object], done: Done) -> bool:
        """Take a row; `done(None)` is called from another thread once it is on disk, `done(error)` if it is not.

        False if too many wait already: the row was not taken.
        """
        line = orjson.dumps(row, option=_LINE)
        with self._ready:
            if self._closing or len(self._waiting) >= _MOST_WAITING:
                return False
            self._waiting.append((line, done))
            self._ready.notify()
        return True

    def flush(self) -> None:
        """Close the files that grow now and tell `on_flush` of them. The next row begins a new file."""
        with self._writing:
            self._seal(self._predictions)
        with self._syncing:
            self._seal(self._feedback)
        self._tell()

    def close(self) -> None:
        """Finish what waits, flush, let go of the folder."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self.flush()
        self._open.close()

    def _commit(self) -> None:
        """The thread that syncs feedback: everything that waits goes to disk together, then the next group."""
        while True:
            with self._ready:
                while not self._waiting and not self._closing:
                    self._ready.wait()
                group, self._waiting = self._waiting, []
                if not group:
                    return
            error = self._write_group(b"".join([line for line, _ in group]))
            for _, done in group:
                done(error)

    def _write_group(self, lines: bytes) -> OSError | None:
        with self._syncing:
            try:
                self._feedback.append(lines)
                try:
                    self._feedback.sync()
                except OSError:
                    self._seal(self._feedback)
                    raise
            except OSError as error:
                self._failed(error)
                return error
            self.problem = None
            if self._feedback.is_due:
                self._seal(self._feedback)
        return None

    def _tend(self) -> None:
        """The thread that tells the ledger of closed files and ends files that are old."""
        while not self._stopped.wait(0.5):
            for lock, segments in ((self._writing, self._predictions), (self._syncing, self._feedback)):
                with lock:
                    if segments.is_due:
                        self._seal(segments)
            self._tell()

    def _seal(self, segments: Segments) -> None:
        sealed = segments.seal()
        if sealed is not None:
            self._unsealed.append(sealed)

    def _tell(self) -> None:
        if self._on_flush is None:
            return
        with self._telling:
            for sealed in list(self._unsealed):
                try:
                    self._on_flush(sealed)
                    write_whole(self._told(sealed.file), json.dumps(sealed.to_json()).encode())
                except Exception:  # noqa: BLE001 - a ledger that is away must not stop the server; it is tried again
                    return
                self._unsealed.remove(sealed)

    def _told(self, file: str) -> Path:
        return self.folder / "flushed" / (file + ".json")

    def _left_behind(self, writer: str) -> list[Sealed]:
        paths = [path for stream in ("predictions", "feedback") for path in sorted((self.folder / stream).glob(f"{writer}-{NUMBER}.jsonl"))]
        left = [sealed_from(path) for path in paths if not self._told(f"{path.parent.name}/{path.name}").exists()]
        return [sealed for sealed in left if sealed is not None]

    def _failed(self, error: OSError) -> None:
        self.problem = "full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "failed"
