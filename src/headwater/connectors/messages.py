"""Messages: JSON objects that came one by one, as a broker or a server gives them, made rows in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headwater.collect.source import Chunk, Cursor, Place, Reject
from headwater.connectors.jsonlines import JsonLines
from headwater.connectors.records import Cut, Limits, parse, shown

__all__ = ["Message", "Messages"]


@dataclass(frozen=True, slots=True)
class Message:
    """`at` names it for people and machines, for ever (`events/3@1042`); `value` is a JSON object as UTF-8."""

    at: str
    value: bytes


class Messages:
    """Makes chunks of messages.

    Guarantees: each message becomes a row or a reject, with its own place; the same rules as for a line of a file.
    """

    def __init__(self, schema: pa.Schema | None, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self.limits = limits
        self._schema = schema

    def chunk(self, messages: Sequence[Message], cursor: Cursor, *, rejects: Sequence[Reject] = ()) -> Chunk:
        """One chunk of `messages`, in their order. `rejects` are what could not be read at all."""
        whole = [one for one in messages if one.value.strip()]
        bad = [
            *rejects,
            *(_reject(one, "message.empty", "it is empty: expected a JSON object") for one in messages if not one.value.strip()),
        ]
        long = [one for one in whole if len(one.value) > self.limits.line]
        if long:
            most = f"expected at most {self.limits.line:,}"
            bad += [_reject(one, "message.too-long", f"it has {len(one.value):,} bytes: {most}") for one in long]
            whole = [one for one in whole if len(one.value) <= self.limits.line]
        values = [one.value.replace(b"\n", b" ").replace(b"\r", b" ") for one in whole]  # white space, in JSON, wherever it may stand
        lengths = np.fromiter((len(value) + 1 for value in values), np.int64, len(values))
        ends = np.cumsum(lengths)
        starts = ends - lengths
        form = JsonLines(self._schema, self.limits)
        block = b"\n".join([*values, b""])
        parsed = parse(form, block, Cut(starts=starts, ends=ends, taken=len(block), lines=len(values)), self.limits.part)
        at = {int(start): one for start, one in zip(starts, whole, strict=True)}
        bad += [_reject(at[one.start], one.code, one.reason) for one in parsed.bad]
        kept = parsed.starts

        def place(row: int) -> Place:
            return _place(at[int(kept[row])])

        return Chunk(rows=parsed.rows, cursor=cursor, rejects=bad, place=place)


def _place(message: Message) -> Place:
    return Place(at=message.at, raw=shown(message.value))


def _reject(message: Message, code: str, reason: str) -> Reject:
    return Reject(code=code, reason=reason, place=_place(message))
