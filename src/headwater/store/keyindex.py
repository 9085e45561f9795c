"""KeyIndex: which keys a table holds already, so that a record delivered twice is in the lake once."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import Broken
from headwater.store.lake import LakeTable

__all__ = ["KeyIndex"]

RECENT_KEYS = 4_000_000  # more than the batches that are read ahead of the one being committed
SIEVES = (16, 20, 23, 26)  # bits; the finest takes 64 MiB
Hashes = npt.NDArray[np.uint64]


class KeyIndex:
    """The 64-bit hashes of a table's keys, in memory, 8 bytes a row, behind a sieve that says which cannot be there.

    Guarantees: exact. A hash seen before is only a suspicion; the keys themselves are then compared with the lake's. The
    index is right while nobody else appends to the table: hold the table's lease.
    """

    def __init__(self, table: LakeTable, key: str) -> None:
        self._table = table
        self._key = key
        self._runs: list[Hashes] = []
        self._bits = SIEVES[0]
        self._sieve = np.zeros(1 << self._bits, dtype=bool)  # whether there is any hash that begins with these bits
        self._recent: deque[pl.Series] = deque()  # keys that may not have landed yet
        if table.exists():
            try:
                stored = table.scan().select(key).collect()[key]
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                raise Broken(f"{table.uri} cannot be read: {str(error)[:200]}. Type: headwater verify") from error
            self._add(_hashes(stored))

    def repeated(self, keys: pl.Series) -> pl.Series:
        """A mask over `keys`: true where the key is in the lake already, or earlier in `keys`. Adds all of them."""
        hashes = _hashes(keys)
        ordered = _sorted(hashes)  # not argsort, which takes longer: mostly no key is looked at any further
        again = ordered[1:][ordered[1:] == ordered[:-1]]
        maybe = ordered[self._sieve[self._slots(ordered)]]
        before = [maybe[run[np.minimum(np.searchsorted(run, maybe), len(run) - 1)] == maybe] for run in self._runs]
        self._add(ordered, is_sorted=True)
        mask = pl.Series([False]).new_from_index(0, len(keys))
        if len(again) or any(len(found) for found in before):
            mask = self._confirmed(keys, np.isin(hashes, again), np.isin(hashes, np.concatenate([again[:0], *before])))
        self._recent.append(keys)
        while sum(len(keys) for keys in self._recent) - len(self._recent[0]) > RECENT_KEYS:
            self._recent.popleft()
        return mask

    def _confirmed(self, keys: pl.Series, suspect: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]) -> pl.Series:
        mask = pl.Series(suspect) & ~keys.is_first_distinct()
        if known.any():
            wanted = keys.filter(pl.Series(known)).unique()
            for stored in (*self._recent, self._stored(wanted)):
                mask = mask | keys.is_in(stored.implode())
        return mask

    def _stored(self, wanted: pl.Series) -> pl.Series:
        if not self._table.exists():
            return wanted.clear()
        return self._table.scan().select(self._key).filter(pl.col(self._key).is_in(wanted.implode())).collect()[self._key]

    def _slots(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        return (hashes >> np.uint64(64 - self._bits)).view(np.int64)

    def _add(self, hashes: Hashes, *, is_sorted: bool = False) -> None:
        run = hashes if is_sorted else _sorted(hashes)
        keys = len(run) + sum(len(known) for known in self._runs)
        finer = next((bits for bits in SIEVES if 8 * keys <= 1 << bits), SIEVES[-1])
        if finer != self._bits:
            self._bits, self._sieve = finer, np.zeros(1 << finer, dtype=bool)
            for known in self._runs:
                self._sieve[self._slots(known)] = True
        self._sieve[self._slots(run)] = True
        while self._runs and len(self._runs[-1]) <= 2 * len(run):  # runs shrink geometrically: few to search, cheap to merge
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)


def _hashes(keys: pl.Series) -> Any:
    return keys.hash(0x5EED).to_numpy()


def _sorted(hashes: Hashes) -> Any:
    return pl.Series(hashes).sort().to_numpy()  # a third of the time that NumPy takes where it lacks a vectorised sort
