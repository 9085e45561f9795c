"""Messages become rows or rejects, each with its place, by the rules that lines of files have."""

from __future__ import annotations

import json

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from headwater.connectors.messages import Message, Messages
from headwater.connectors.records import Limits

SCHEMA = pa.schema([("id", pa.int64()), ("kind", pa.string())])
VALUES = st.one_of(
    st.binary(max_size=12),
    st.builds(lambda n, kind: json.dumps({"id": n, "kind": kind}, indent=1).encode(), st.integers(0, 99), st.text(max_size=5)),
    st.sampled_from([b"", b" ", b"{}", b"[1]", b'{"id":"x"}', b'{"id":1,"id":2}', b'{"id":1}\n{"id":2}', b"{" * 300]),
)


@given(st.lists(VALUES, max_size=30))
def test_each_message_becomes_a_row_or_a_reject_with_its_place(values: list[bytes]) -> None:
    messages = [Message(f"t/0@{n}", value) for n, value in enumerate(values)]
    chunk = Messages(SCHEMA).chunk(messages, {"n": 1})
    places = [chunk.place(row).at for row in range(chunk.rows.num_rows)] + [reject.place.at for reject in chunk.rejects]
    assert sorted(places) == sorted(message.at for message in messages)


@given(st.lists(VALUES, max_size=30))
def test_a_message_means_the_same_alone_and_among_others(values: list[bytes]) -> None:
    messages = [Message(f"t/0@{n}", value) for n, value in enumerate(values)]
    together = Messages(SCHEMA).chunk(messages, {"n": 1})
    alone = [Messages(SCHEMA).chunk([message], {"n": 1}) for message in messages]
    assert together.rows.select(SCHEMA.names).to_pylist() == [row for chunk in alone for row in chunk.rows.select(SCHEMA.names).to_pylist()]
    assert {(r.place.at, r.code) for r in together.rejects} == {(r.place.at, r.code) for chunk in alone for r in chunk.rejects}


def test_one_that_is_too_long_is_no_row_and_hurts_no_other() -> None:
    long = json.dumps({"id": 1, "kind": "x" * 200}).encode()
    limits = Limits(block=300, line=128, record=96, part=64, rows=5)
    chunk = Messages(SCHEMA, limits).chunk([Message("a", long), Message("b", b'{"id":2,"kind":"y"}')], {"n": 2})
    assert chunk.rows.to_pylist() == [{"id": 2, "kind": "y"}]
    assert [(r.code, r.place.at) for r in chunk.rejects] == [("message.too-long", "a")]
