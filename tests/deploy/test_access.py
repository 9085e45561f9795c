"""API keys are kept as hashes and can be taken back; nobody goes faster than his pace."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import UsageError
from headwater.deploy.access import ApiKeys, Pace, make_api_key, revoke_api_key


def test_a_key_is_shown_once_and_kept_as_a_hash_that_only_the_owner_can_read(tmp_path: Path) -> None:
    token = make_api_key(tmp_path, "shop", ["predict", "feedback"])
    path = tmp_path / "api_keys.json"
    assert token.reveal() not in path.read_text()
    assert token.reveal() not in f"{token} {token!r}"
    assert path.stat().st_mode & 0o777 == 0o600
    found = ApiKeys(tmp_path).find(token.reveal())
    assert found is not None
    assert (found.name, found.scopes) == ("shop", {"predict", "feedback"})


@pytest.mark.parametrize("token", ["", "hw_", "x" * 1000, "\ud800", "hw_\x00"])
def test_no_other_token_is_a_key(tmp_path: Path, token: str) -> None:
    make_api_key(tmp_path, "shop", ["predict"])
    assert ApiKeys(tmp_path).find(token) is None


def test_two_keys_of_one_name_an_unknown_scope_and_no_scope_are_mistakes(tmp_path: Path) -> None:
    make_api_key(tmp_path, "shop", ["predict"])
    with pytest.raises(UsageError, match="already"):
        make_api_key(tmp_path, "shop", ["predict"])
    with pytest.raises(UsageError, match="Did you mean 'predict'"):
        make_api_key(tmp_path, "b", ["predct"])
    with pytest.raises(UsageError, match="needs a scope"):
        make_api_key(tmp_path, "b", [])


def test_a_revoked_key_and_a_file_that_others_can_read_let_nobody_in(tmp_path: Path) -> None:
    first, second = (make_api_key(tmp_path, name, ["predict"]).reveal() for name in ("a", "b"))
    revoke_api_key(tmp_path, "a")
    assert ApiKeys(tmp_path).find(first) is None
    assert ApiKeys(tmp_path).find(second) is not None
    (tmp_path / "api_keys.json").chmod(0o644)
    assert ApiKeys(tmp_path).find(second) is None
    (tmp_path / "api_keys.json").write_text(json.dumps({"b": "rubbish"}))
    (tmp_path / "api_keys.json").chmod(0o600)
    assert ApiKeys(tmp_path).find(second) is None


@given(st.lists(st.floats(0, 2), min_size=1, max_size=100), st.floats(0.5, 20), st.floats(1, 20))
def test_in_any_stretch_of_time_no_more_is_let_in_than_the_burst_and_the_rate(gaps: list[float], rate: float, burst: float) -> None:
    pace, now, granted = Pace(rate, burst), 0.0, []
    for gap in gaps:
        now += gap
        wait = pace.wait("u", now)
        if not wait:
            granted.append(now)
        else:
            assert not Pace(rate, burst).wait("other", now)
            assert wait > 0
    for i, start in enumerate(granted):
        for j in range(i, len(granted)):
            assert j - i + 1 <= burst + rate * (granted[j] - start) + 1e-6


def test_who_waits_as_long_as_he_was_told_is_let_in() -> None:
    pace = Pace(2.0, 1.0)
    assert pace.wait("u", 0.0) == 0
    wait = pace.wait("u", 0.0)
    assert pace.wait("u", wait - 0.01) > 0
    assert pace.wait("u", wait) == 0


def test_no_number_of_names_takes_more_memory() -> None:
    pace = Pace(1.0, 1.0, most=100)
    for n in range(1000):
        pace.wait(f"u{n}", 0.0)
    assert len(pace._buckets) == 100
    assert pace.wait("u999", 0.0) > 0
