"""A profile says where a pipeline runs; what is wrong in it is said in one line, without the secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.core.errors import UsageError
from headwater.pipeline.profile import read_profile


def project(folder: Path, text: str) -> Path:
    (folder / "headwater.toml").write_text(text)
    return folder


def test_a_profile_inherits_from_default_and_paths_are_below_the_project(tmp_path: Path) -> None:
    text = (
        '[default]\nlake = "a"\n[default.sources]\nevents = "x.jsonl"\n'
        '[production]\nlake = "b"\n[production.sources.web]\ntable = "events"\nurl = "y.csv"\n'
    )
    profile = read_profile(project(tmp_path, text), "production")
    assert profile.lake == tmp_path / "b"
    assert profile.ledger == tmp_path / "ledger.db"
    assert {name: spec.table for name, spec in profile.sources.items()} == {"events": "events", "web": "events"}
    assert profile.sources["web"].contributor_asserted_by == "payload"


def test_any_value_may_name_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "elsewhere")
    assert read_profile(project(tmp_path, '[default]\nlake = "${WHERE}/lake"\n')).lake == tmp_path / "elsewhere/lake"


def test_a_secret_in_a_url_is_not_in_the_profiles_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    text = '[default.sources]\nevents = "postgresql://me:${PGPASSWORD}@db/x"\n[default.alerts]\nwebhook = "https://h/${PGPASSWORD}"\n'
    assert "hunter2" not in repr(read_profile(project(tmp_path, text)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[default", "is not TOML"),
        ("[other]\n", r"no profile \[default\]"),
        ('[default]\nlak = "x"\n', "Did you mean 'lake'"),
        ("[default]\nlake = 3\n", "expected text"),
        ('[default]\nlake = "${NOT_SET_ANYWHERE}"\n', "NOT_SET_ANYWHERE, which is not set"),
        ('[default]\nlake = "s3://bucket/x"\n', "on this machine in this version"),
        ('[default]\nlake = "."\n', "keys must lie outside the lake"),
        ("[default.sources]\nevents = 3\n", "expected a URL"),
        ('[default.sources]\n"Bad Name" = "x"\n', "is not a name"),
        ('[default.sources.events]\nurl = "x"\ncontributor_asserted_by = "me"\n', "'payload' or 'source'"),
        ('[default.serve]\nport = "x"\n', "expected a number"),
        ('[default.serve]\nhots = "x"\n', "Did you mean 'host'"),
    ],
)
def test_what_is_wrong_is_said_with_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_profile(project(tmp_path, text))


def test_a_missing_file_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="headwater init"):
        read_profile(tmp_path)
