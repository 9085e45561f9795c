"""safetensors: what we write others read, what others write we read, and no bytes make the reader do anything else than refuse."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
import safetensors.numpy as library
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headwater.core.errors import DataError
from headwater.formats.safetensors import read, write

DTYPES = ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1", "|b1"]
arrays = st.sampled_from(DTYPES).flatmap(
    lambda code: hnp.arrays(
        np.dtype(code),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements={"allow_nan": False, "allow_infinity": False} if np.dtype(code).kind == "f" else None,
    )
)
files = st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda n: n != "__metadata__" and n.isprintable()), arrays, max_size=4)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and a[n].shape == b[n].shape and (a[n] == b[n]).all() for n in a)


@settings(max_examples=60, deadline=None)
@given(files)
def test_what_was_written_is_read_back_here_and_by_the_library(content: dict[str, Any]) -> None:
    written = write(content)
    assert same(read(written), content)
    assert same(library.load(written), content)
    assert written == write(dict(reversed(content.items())))


@settings(max_examples=40, deadline=None)
@given(files)
def test_what_the_library_wrote_is_read(content: dict[str, Any]) -> None:
    assert same(read(library.save(content, metadata={"made": "there"})), content)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_bytes_are_read_or_refused_and_never_crash(data: st.DataObject) -> None:
    good = bytearray(write({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1, 2], np.int64)}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good) - 1))
        match data.draw(st.sampled_from(["set", "cut", "insert", "digit"])):
            case "set":
                good[at] = data.draw(st.integers(0, 255))
            case "cut":
                del good[at : at + data.draw(st.integers(1, 5))]
            case "insert":
                good[at:at] = data.draw(st.binary(max_size=5))
            case "digit":
                good[at:at] = b"9"
        if not good:
            break
    try:
        found = read(bytes(good))
    except DataError:
        return
    assert sum(array.nbytes for array in found.values()) <= len(good)


def raw(header: str | dict[str, Any], data: bytes = b"") -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changed: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}


REFUSED = {
    "nothing": b"",
    "a header longer than the file": (1 << 62).to_bytes(8, "little") + b"{}",
    "no object": raw("[]"),
    "deep nesting": raw("[" * 100_000 + "]" * 100_000),
    "a number of a million digits": raw('{"a":' + "9" * 10_000 + "}"),
    "a key twice": raw(
        '{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', bytes(4)
    ),
    "an unknown type": raw({"a": entry(dtype="PICKLE")}, bytes(8)),
    "a type that is no text": raw({"a": entry(dtype=["F32"])}, bytes(8)),
    "a shape that lies": raw({"a": entry(shape=[2**40])}, bytes(8)),
    "a shape whose product overflows to fit": raw({"a": entry(shape=[2**32, 2**32, 0], data_offsets=[0, 0])}),
    "a negative side": raw({"a": entry(shape=[-2])}, bytes(8)),
    "a truth value as a side": raw({"a": entry(shape=[True], data_offsets=[0, 4])}, bytes(4)),
    "offsets behind the end": raw({"a": entry(data_offsets=[8, 16])}, bytes(8)),
    "offsets backwards": raw({"a": entry(data_offsets=[8, 0])}, bytes(8)),
    "an overlap": raw({"a": entry(), "b": entry(data_offsets=[4, 12])}, bytes(12)),
    "a gap": raw({"a": entry(), "b": entry(data_offsets=[12, 20])}, bytes(20)),
    "bytes too many": raw({"a": entry()}, bytes(9)),
    "an unknown part": raw({"a": entry(run="it")}, bytes(8)),
    "metadata of another kind": raw({"__metadata__": {"a": 1}}),
    "NaN in the header": raw('{"__metadata__": NaN}'),
    "NaN in the data": raw({"a": entry()}, np.array([1, np.nan], "<f4").tobytes()),
    "infinity in the data": raw({"a": entry()}, np.array([1, np.inf], "<f4").tobytes()),
    "a truth value of 2": raw({"a": {"dtype": "BOOL", "shape": [1], "data_offsets": [0, 1]}}, b"\x02"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_lies_is_refused_without_allocating(what: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read(REFUSED[what])
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bad", [np.array([np.inf]), np.array(["text"]), np.array([1j])])
def test_what_the_format_cannot_hold_is_not_written(bad: Any) -> None:
    with pytest.raises(DataError):
        write({"a": bad})


def test_what_was_read_cannot_be_changed() -> None:
    found = read(write({"a": np.arange(3)}))
    with pytest.raises(ValueError, match="read-only"):
        found["a"][0] = 9
