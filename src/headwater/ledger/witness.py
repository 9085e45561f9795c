"""Witness: the last head seen, kept with the keys. A ledger cut short or restored to an old state is seen against it."""

from __future__ import annotations

import json
from pathlib import Path

from headwater.core.errors import Broken
from headwater.core.files import locked, write_whole

__all__ = ["Witness"]


class Witness:
    """Remembers the highest (entry, seal) ever appended. It only moves forward."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[int, str] | None:
        """The head last seen, or none if nothing was ever appended."""
        try:
            seen = json.loads(self.path.read_text())
            return int(seen["seq"]), str(seen["seal"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise Broken(f"the witness {self.path} cannot be read: {error}") from error

    def advance(self, seq: int, seal: str) -> None:
        """Remember this head, unless a later one is known."""
        with locked(self.path.with_suffix(".lock"), "the ledger's witness", wait_s=60):
            seen = self.read()
            if seen is None or seen[0] < seq:
                write_whole(self.path, json.dumps({"seq": seq, "seal": seal}).encode(), mode=0o600)
