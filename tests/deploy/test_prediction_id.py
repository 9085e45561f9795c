"""A prediction id proves what was shown, to whom and when, and nothing else passes for one."""

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import Refused
from headwater.core.keys import Keys
from headwater.deploy.deployment import Deployment
from headwater.deploy.prediction_id import MOST_CHARS, PredictionIds

_IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=256)
_NOW = 1_800_000_000_000_000
_DAY = 86_400_000_000


def _deployment(version: str = "v1", epoch: int = 7) -> Deployment:
    digest = "sha256:" + "ab" * 32
    return Deployment(
        uri="deployment:shop@7", digest=digest, name="shop", epoch=epoch, model="model:shop@v1", model_digest=digest,
        version=version, previous=None, reason="promote", entry=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("project") / "keys")


@pytest.fixture(scope="module")
def ids(keys: Keys) -> PredictionIds:
    return PredictionIds("shop", keys, now_us=lambda: _NOW)


@settings(max_examples=50, deadline=None)
@given(st.lists(_IDS, min_size=1, max_size=100, unique=True), st.none() | _IDS, st.data())
def test_every_item_shown_is_proved_with_its_place_and_the_id_is_short(
    ids: PredictionIds, keys: Keys, items: list[str], user: str | None, data: st.DataObject
) -> None:
    text = ids.make(_deployment("v" * 63), user, items, _NOW - 5)
    place = data.draw(st.integers(0, len(items) - 1))
    claim = ids.read(text, item=items[place], user=user)
    assert (claim.position, claim.epoch, claim.at_us, claim.version) == (place, 7, _NOW - 5, "v" * 63)
    assert claim.who == (None if user is None else keys.pseudonym(user))
    assert len(text) <= MOST_CHARS


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_changed_id_is_read(ids: PredictionIds, data: st.DataObject) -> None:
    text = ids.make(_deployment(), "u1", ["i1", "i2"], _NOW)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCDwxyz0189-_=+/ \n").filter(lambda c: c != text[place]))
    for changed in (text[:place] + other + text[place + 1 :], text[:place] + other + text[place:], text[:place]):
        with pytest.raises(Refused, match="does not name a prediction"):
            ids.read(changed, item="i1")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=2000))
def test_no_rubbish_is_read(ids: PredictionIds, text: str) -> None:
    with pytest.raises(Refused):
        ids.read(text, item="i1")


def test_one_prediction_has_one_id_only(ids: PredictionIds) -> None:
    text = ids.make(_deployment(), "u1", ["i1"], _NOW)
    for same_bytes in (text + "=", text + "==", " " + text, text + "\n", text.replace("-", "+")):
        if same_bytes != text:
            with pytest.raises(Refused):
                ids.read(same_bytes, item="i1")


def test_ids_of_another_name_or_project_are_not_read(ids: PredictionIds, keys: Keys, tmp_path: Path) -> None:
    text = ids.make(_deployment(), "u1", ["i1"], _NOW)
    for other in (
        PredictionIds("clinic", keys, now_us=lambda: _NOW),
        PredictionIds("shop", Keys.make(tmp_path / "k"), now_us=lambda: _NOW),
    ):
        with pytest.raises(Refused, match="does not name a prediction"):
            other.read(text, item="i1")


def test_another_item_another_user_and_an_old_prediction_are_refused_each_with_its_code(ids: PredictionIds) -> None:
    fresh, old = (ids.make(_deployment(), "u1", ["i1"], at) for at in (_NOW, _NOW - 31 * _DAY))
    future = ids.make(_deployment(), "u1", ["i1"], _NOW + _DAY)
    cases = {"other-item": (fresh, "i2", None), "other-user": (fresh, "i1", "u2"), "expired": (old, "i1", None)}
    for code, (text, item, user) in {**cases, "expired ": (future, "i1", None)}.items():
        with pytest.raises(Refused) as refused:
            ids.read(text, item=item, user=user)
        assert refused.value.verdict is not None
        assert refused.value.verdict.findings[0].code == f"feedback.{code.strip()}"


def test_an_id_tells_neither_user_nor_item(ids: PredictionIds) -> None:
    text = ids.make(_deployment(), "alice@example.org", ["blue-socks"], _NOW)
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert b"alice" not in content
    assert b"socks" not in content
