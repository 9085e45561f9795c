"""The same rows have the same digest, whatever layout, encoding or library holds them; other rows have another."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core import digest
from headwater.core.digest import chunk_digests, merkle_root, table_digest

SCHEMA = pa.schema(
    [
        ("s", pa.string()),
        ("n", pa.int64()),
        ("f", pa.float64()),
        ("b", pa.bool_()),
        ("t", pa.timestamp("us", "UTC")),
        ("l", pa.list_(pa.string())),
    ]
)
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
row = st.fixed_dictionaries(
    {
        "s": st.none() | st.text(max_size=5),
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "f": st.none() | st.floats(width=64),
        "b": st.none() | st.booleans(),
        "t": st.none() | st.integers(0, 10**6).map(lambda s: EPOCH + timedelta(seconds=s)),
        "l": st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3),
    }
)
rows = st.lists(row, max_size=40)


def table(values: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(values, schema=SCHEMA)


def layouts(given: pa.Table) -> list[pa.Table]:
    sink = pa.BufferOutputStream()
    pq.write_table(given, sink, row_group_size=3, compression="zstd")
    padded = pa.concat_tables([given, given])
    return [
        given.combine_chunks(),
        pa.concat_tables([given.slice(0, len(given) // 2), given.slice(len(given) // 2)]),
        padded.slice(len(given)),  # an offset into other buffers
        given.select(SCHEMA.names[::-1]),
        given.set_column(0, "s", given["s"].combine_chunks().dictionary_encode()),
        given.set_column(0, "s", given["s"].cast(pa.large_string())),
        given.set_column(0, "s", given["s"].cast(pa.string_view())),
        pq.read_table(pa.BufferReader(sink.getvalue())),
        pl.from_arrow(given).to_arrow(),  # type: ignore[union-attr]
        pl.from_arrow(given).to_arrow(compat_level=pl.CompatLevel.oldest()),  # type: ignore[union-attr]
    ]


@given(rows)
@settings(max_examples=80, deadline=None)
def test_the_same_rows_have_the_same_digest_in_every_layout(values: list[dict[str, Any]]) -> None:
    assert {table_digest(layout) for layout in layouts(table(values))} == {table_digest(table(values))}


@given(rows, st.data())
@settings(max_examples=80, deadline=None)
def test_a_changed_missing_or_swapped_row_has_another_digest(values: list[dict[str, Any]], data: st.DataObject) -> None:
    other = data.draw(rows)
    same = repr(values).replace("-0.0", "0.0") == repr(other).replace("-0.0", "0.0")
    assert (table_digest(table(values)) == table_digest(table(other))) == same


def test_a_change_is_placed_to_within_a_chunk() -> None:
    numbers = np.arange(3 * digest.CHUNK_ROWS + 5)
    before = chunk_digests(pa.table({"n": numbers}))
    numbers[digest.CHUNK_ROWS] += 1
    after = chunk_digests(pa.table({"n": numbers}))
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, True]


def test_values_hidden_under_nulls_do_not_count() -> None:
    mask = np.array([True, False])
    one = pa.array(np.array([7, 1]), mask=mask)
    two = pa.array(np.array([9, 1]), mask=mask)
    assert table_digest(pa.table({"n": one})) == table_digest(pa.table({"n": two}))


def test_a_null_is_no_empty_text_and_no_zero() -> None:
    kinds = [pa.array([None], pa.string()), pa.array([""]), pa.array([None], pa.int64()), pa.array([0])]
    assert len({table_digest(pa.table({"x": kind})) for kind in kinds}) == 4


def test_text_cannot_move_between_neighbouring_rows() -> None:
    assert table_digest(pa.table({"s": ["ab", "c"]})) != table_digest(pa.table({"s": ["a", "bc"]}))


def test_the_root_of_one_leaf_is_not_the_leaf_and_no_leaves_have_a_root() -> None:
    leaf = table_digest(pa.table({"n": [1]}))
    assert len({leaf, merkle_root([leaf]), merkle_root([leaf, leaf]), merkle_root([])}) == 4


def test_a_type_without_a_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="canonical form"):
        table_digest(pa.table({"d": pa.array([timedelta(1)])}))
