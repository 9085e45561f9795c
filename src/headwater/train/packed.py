"""Texts packed in two arrays: a million ids without a million objects."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Strings", "pack"]


def pack(texts: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """UTF-8 bytes of all texts, and where each begins (one offset more than texts)."""
    import numpy as np

    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(e) for e in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


class Strings(Sequence[str]):
    """Packed texts, read one by one. If they are sorted, `find` answers in a few comparisons."""

    def __init__(self, data: NDArray[Any], offsets: NDArray[Any]) -> None:
        self._data = data.tobytes()
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        return self._data[self._offsets[at] : self._offsets[at + 1]].decode()

    def find(self, text: str) -> int | None:
        """Where `text` is, if the texts are sorted by code point; none if it is not there."""
        at = bisect_left(self, text)
        return at if at < len(self) and self[at] == text else None
