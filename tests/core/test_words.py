"""Gates fail closed, secrets never print, names stay names, paths stay in their folder, keys sign for their role."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.artifact import Artifact
from headwater.core.errors import Broken, MissingExtra, Refused, Retryable, UsageError
from headwater.core.extras import need
from headwater.core.files import locked, write_whole
from headwater.core.gate import Evidence, Finding, Severity, Verdict, judge, require
from headwater.core.keys import Keys, Signature
from headwater.core.names import check_name, contained, printable
from headwater.core.secret import Secret, redacted

ARTIFACT = Artifact(uri="lake:tables/events@1", digest="sha256:00")


class Says:
    name = "says"

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[return-value]


@pytest.mark.parametrize("answer", [ValueError("no"), None, True, Verdict(gate="says", digest="sha256:other")])
def test_a_gate_that_crashes_or_does_not_answer_refuses(answer: object) -> None:
    verdict = judge(Says(answer), ARTIFACT, Evidence())
    assert not verdict.passed
    with pytest.raises(Refused, match=r"gate\.crashed"):
        require(verdict)


@pytest.mark.parametrize("severity", list(Severity))
def test_only_a_blocking_finding_refuses(severity: Severity) -> None:
    finding = Finding(severity=severity, code="x.y", subject="events", message="seen")
    verdict = judge(Says(Verdict(gate="says", digest=ARTIFACT.digest, findings=(finding,))), ARTIFACT, Evidence())
    assert verdict.passed == (severity is not Severity.BLOCK)


def test_a_secret_prints_nowhere_and_is_not_pickled() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {vars(Holder(secret))}"
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


class Holder:
    def __init__(self, secret: Secret) -> None:
        self.secret = secret


@pytest.mark.parametrize(
    "url", ["postgresql://me:hunter2@db/x", "https://h/p?token=hunter2&x=1", "s3://hunter2@b/k", "https://h/?a=1&sig=hunter2"]
)
def test_an_address_is_shown_without_its_secret(url: str) -> None:
    assert "hunter2" not in redacted(url)


@pytest.mark.parametrize("name", ["", "Events", "1a", "a/b", "../x", "a b", "a" * 64, "é"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


@given(st.text(max_size=400))
def test_what_is_shown_holds_no_control_character_and_is_bounded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 200 * 10


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "out").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="leads out"):
        contained(home / "out", home)
    with pytest.raises(UsageError, match="leads out"):
        contained(home / ".." / "x", home)
    assert contained(home / "in", home) == (home / "in").resolve()


def test_a_missing_package_says_what_to_type() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'headwater\[kafka\]'"):
        need("no_such_module_at_all", extra="kafka")


def test_a_lock_is_held_by_one_and_says_so_to_the_other(tmp_path: Path) -> None:
    with locked(tmp_path / "l", "the thing"), pytest.raises(Retryable, match="the thing is in use"), locked(tmp_path / "l", "the thing"):
        pass
    with locked(tmp_path / "l", "the thing"):
        pass


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"one")
    write_whole(tmp_path / "a", b"two", mode=0o600)
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_role_signs_for_itself_only(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path / "keys")
    signature = keys.sign("train", b"model")
    assert keys.verify(signature, b"model")
    assert not keys.verify(signature, b"other")
    assert not keys.verify(Signature(role="deploy", key=signature.key, value=signature.value), b"model")
    assert not keys.verify(signature, b"model") or Keys.make(tmp_path / "others").verify(signature, b"model") is False


def test_keys_are_never_made_twice_nor_read_when_others_can(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path / "keys")
    with pytest.raises(UsageError, match="nothing was changed"):
        Keys.make(tmp_path / "keys")
    (tmp_path / "keys" / "train.key").chmod(0o644)
    with pytest.raises(Broken, match="chmod 600"):
        keys.sign("train", b"x")
    (tmp_path / "keys" / "train.key").unlink()
    with pytest.raises(UsageError, match="may not act in that role"):
        keys.sign("train", b"x")


def test_a_pseudonym_is_stable_and_needs_the_key(tmp_path: Path) -> None:
    one, two = Keys.make(tmp_path / "1"), Keys.make(tmp_path / "2")
    assert one.pseudonym("ann") == one.pseudonym("ann") != one.pseudonym("bob")
    assert one.pseudonym("ann") != two.pseudonym("ann")
    assert "ann" not in one.pseudonym("ann")
