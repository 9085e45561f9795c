"""A contract splits rows into those that keep it and those that break it, and loses none."""

from datetime import UTC, datetime

import pandera.polars as pandera
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.collect.contract import Contract
from headwater.core.errors import UsageError


class Rating(pandera.DataFrameModel):
    user_id: str = pandera.Field(str_length={"min_value": 1, "max_value": 8})
    stars: int = pandera.Field(ge=1, le=5)
    ts: pl.Datetime("us", "UTC")  # type: ignore[valid-type]
    price: float = pandera.Field(nullable=True)


NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


def table(**columns: list[object]) -> pa.Table:
    rows = {"user_id": ["ann"], "stars": [5], "ts": ["2024-01-31T12:00:00Z"], "price": [None], **columns}
    return pa.table(rows)


def codes(**columns: list[object]) -> list[str]:
    return [violation.code for violation in Contract(Rating).split(table(**columns)).violations]


def test_a_row_that_keeps_the_contract_has_its_types() -> None:
    split = Contract(Rating).split(table())
    assert split.violations == []
    assert split.rows.rows() == [("ann", 5, NOON, None)]


@pytest.mark.parametrize("text", ["2024-01-31T12:00:00Z", "2024-01-31T13:00:00+01:00", "2024-01-31T12:00:00", "2024-01-31 12:00:00.000"])
def test_a_time_is_read_in_its_common_forms_and_kept_in_utc(text: str) -> None:
    assert Contract(Rating).split(table(ts=[text])).rows["ts"].to_list() == [NOON]


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"stars": [9]}, "contract.check"),
        ({"stars": ["five"]}, "contract.type"),
        ({"stars": [1.5]}, "contract.type"),
        ({"stars": [True]}, "contract.type"),
        ({"stars": pa.array([None], pa.int64())}, "contract.null"),
        ({"ts": ["yesterday"]}, "contract.type"),
        ({"price": [float("nan")]}, "contract.number"),
        ({"price": [float("inf")]}, "contract.number"),
        ({"price": ["1e999"]}, "contract.number"),
        ({"user_id": ["x" * 9]}, "contract.check"),
        ({"user_id": [7]}, "contract.type"),
        ({"_row": [7]}, "contract.column"),
    ],
)
def test_a_row_that_breaks_the_contract_is_named_with_its_reason(columns: dict[str, list[object]], code: str) -> None:
    assert codes(**columns) == [code]


def test_a_missing_column_is_a_null_in_each_row() -> None:
    assert [v.code for v in Contract(Rating).split(table().drop_columns(["stars"])).violations] == ["contract.null"]


def test_a_column_the_contract_does_not_know_is_kept() -> None:
    assert Contract(Rating).split(table(device=["phone"])).rows["device"].to_list() == ["phone"]


def test_an_extra_column_keeps_the_type_it_has_in_the_lake() -> None:
    split = Contract(Rating).split(table(device=["phone"]), {"device": pl.Int64()})
    assert [v.code for v in split.violations] == ["contract.type"]


def test_hostile_values_are_data_but_never_reach_a_terminal_raw() -> None:
    reason = Contract(Rating).split(table(user_id=["\x1b[31m" + "x" * 20])).violations[0].reason
    assert "\x1b" not in reason


@given(
    st.lists(
        st.tuples(st.text(max_size=10), st.one_of(st.integers(-9, 9), st.none()), st.sampled_from(["2024-01-01", "x", ""])), max_size=30
    )
)
@settings(max_examples=60, deadline=None)
def test_every_row_is_kept_or_named_never_both_never_neither(rows: list[tuple[str, int | None, str]]) -> None:
    given_rows = pa.table(
        {
            "user_id": pa.array([r[0] for r in rows], pa.string()),
            "stars": pa.array([r[1] for r in rows], pa.int64()),
            "ts": pa.array([r[2] for r in rows], pa.string()),
            "n": pa.array(range(len(rows)), pa.int64()),
        }
    )
    split = Contract(Rating).split(given_rows)
    assert sorted([*split.rows["n"].to_list(), *(v.row for v in split.violations)]) == list(range(len(rows)))
    for name, stars, ts in (rows[n] for n in split.rows["n"]):
        assert 1 <= len(name) <= 8
        assert stars in range(1, 6)
        assert ts == "2024-01-01"


def test_what_only_a_whole_table_could_know_is_no_contract() -> None:
    class Unique(pandera.DataFrameModel):
        key: str = pandera.Field(unique=True)

    with pytest.raises(UsageError, match="declare key="):
        Contract(Unique)
