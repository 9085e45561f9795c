"""JSON that others wrote: one value, no repeated keys, no NaN, bounded, and never a crash."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from headwater.core.errors import DataError

__all__ = ["parse_object"]


def parse_object(content: bytes, what: str, *, limit: int) -> dict[str, Any]:
    """The JSON object in `content`. Raises `DataError`, naming `what`, for anything else than one clean object."""
    if len(content) > limit:
        raise DataError(f"{what} has {len(content)} bytes, at most {limit} expected")
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise DataError(f"{what} is no clean JSON: {str(error)[:100]}") from error
    if not isinstance(value, dict):
        raise DataError(f"{what} is a JSON {type(value).__name__}, an object expected")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")
