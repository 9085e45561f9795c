"""Steps that cannot be put together are refused when the pipeline is built, with what to type instead."""

import polars as pl
import pytest

from headwater.core.errors import UsageError
from headwater.process.plan import contributors_of, plan
from headwater.process.step import Day, day, step

TABLES = {"events": ["event_id", "user_id", "ts"], "reviews": ["review_id", "user_id"]}


@step(by="user_id")
def sessions(events: pl.DataFrame) -> pl.DataFrame:
    return events


@step(by="user_id")
def interactions(sessions: pl.DataFrame, reviews: pl.DataFrame) -> pl.DataFrame:
    return sessions


def test_steps_come_after_those_that_they_read() -> None:
    assert plan([interactions, sessions], TABLES) == (sessions, interactions)


def test_an_unknown_input_is_named_with_the_nearest_known_one() -> None:
    @step
    def clean(event: pl.DataFrame) -> pl.DataFrame:
        return event

    with pytest.raises(UsageError, match=r"'event'.*Did you mean 'events'"):
        plan([clean], TABLES)


def test_a_circle_is_named() -> None:
    @step
    def one(two: pl.DataFrame) -> pl.DataFrame:
        return two

    @step
    def two(one: pl.DataFrame) -> pl.DataFrame:
        return one

    with pytest.raises(UsageError, match=r"circle: .*one"):
        plan([one, two], TABLES)


def test_two_steps_of_one_name_or_one_named_like_a_table_are_refused() -> None:
    @step
    def events(reviews: pl.DataFrame) -> pl.DataFrame:
        return reviews

    with pytest.raises(UsageError, match="'sessions'"):
        plan([sessions, sessions], TABLES)
    with pytest.raises(UsageError, match="'events'"):
        plan([events], TABLES)


def test_a_by_column_that_the_table_lacks_is_named_with_the_nearest() -> None:
    @step(by=("user_id", day("time")))
    def daily(events: pl.DataFrame) -> pl.DataFrame:
        return events

    @step(by="userid")
    def users(events: pl.DataFrame) -> pl.DataFrame:
        return events

    with pytest.raises(UsageError, match="no column 'time'"):
        plan([daily], TABLES)
    with pytest.raises(UsageError, match="Did you mean 'user_id'"):
        plan([users], TABLES)


def test_a_function_that_is_no_step_is_refused() -> None:
    with pytest.raises(UsageError, match="write @step"):
        plan([sessions.function], TABLES)  # type: ignore[list-item]


def test_a_contributor_that_would_be_lost_has_to_be_declared_away() -> None:
    def popular(sessions: pl.DataFrame) -> pl.DataFrame:
        return sessions

    silent, said = step(by="item_id")(popular), step(by="item_id", contributor=None)(popular)
    known = {"events": "user_id", "reviews": "user_id"}
    with pytest.raises(UsageError, match="contributor=None"):
        plan([sessions, silent], TABLES, known)
    ordered = plan([sessions, said], TABLES, known)
    assert contributors_of(ordered, known) == {"sessions": "user_id", "popular": None}


def test_contributors_under_several_names_have_to_be_made_one() -> None:
    with pytest.raises(UsageError, match=r"several names \(author, user_id\)"):
        plan([sessions, interactions], TABLES, {"events": "user_id", "reviews": "author"})


def declare(**options: object):  # type: ignore[no-untyped-def]
    def reads(events: pl.DataFrame) -> pl.DataFrame:
        return events

    return step(**options)(reads)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "user_id", "lookback": "30m"}, "go together"),
        ({"by": "user_id", "time": "ts", "lookback": "half an hour"}, "no time span"),
        ({"time": "ts", "lookback": "30m"}, "needs by="),
        ({"by": ("user_id", Day("ts")), "time": "ts", "lookback": "30m"}, r"no day\(\)"),
        ({"by": ("user_id", "user_id")}, "twice"),
        ({"broadcast": "vocabulary"}, "none of its parameters"),
        ({"broadcast": "events"}, "not broadcast"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_when_it_is_made(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        declare(**options)


def test_two_tables_row_by_row_need_a_key() -> None:
    with pytest.raises(UsageError, match="row by row"):

        @step
        def both(events: pl.DataFrame, reviews: pl.DataFrame) -> pl.DataFrame:
            return events


def test_a_step_is_called_like_its_function_and_knows_what_each_input_wants() -> None:
    @step
    def arrow(events: "pa.Table", share: float = 0.5) -> "pa.Table":  # type: ignore[name-defined] # noqa: F821
        return events

    assert arrow("rows") == "rows"
    assert (arrow.inputs, arrow.frames) == (("events",), {"events": "arrow"})
