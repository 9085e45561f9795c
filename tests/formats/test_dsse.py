"""Signed statements: only the pinned key, only these bytes, only this kind of document."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import Refused
from headwater.core.keys import Keys
from headwater.formats import dsse


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("keys"))


STATEMENT = dsse.statement({"a.bin": "sha256:" + "0" * 64}, "urn:test", {"n": 1})


def test_the_encoding_that_is_signed_is_the_one_of_the_dsse_specification() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_what_was_sealed_is_opened_with_the_same_role_only(keys: Keys) -> None:
    envelope = dsse.sealed(STATEMENT, keys, "train")
    assert dsse.opened(envelope, keys, "train", "it") == STATEMENT
    with pytest.raises(Refused, match="role deploy"):
        dsse.opened(envelope, keys, "deploy", "it")


def test_another_project_s_key_opens_nothing(keys: Keys, tmp_path: Path) -> None:
    other = Keys.make(tmp_path / "other")
    with pytest.raises(Refused, match="not signed by the key pinned"):
        dsse.opened(dsse.sealed(STATEMENT, other, "train"), keys, "train", "it")


def test_a_key_id_that_claims_to_be_the_pinned_one_changes_nothing(keys: Keys, tmp_path: Path) -> None:
    envelope = json.loads(dsse.sealed(STATEMENT, Keys.make(tmp_path / "other"), "train"))
    envelope["signatures"][0]["keyid"] = keys.key_id("train")
    with pytest.raises(Refused):
        dsse.opened(json.dumps(envelope).encode(), keys, "train", "it")


def test_a_second_signature_by_a_stranger_does_no_harm_and_no_signature_does(keys: Keys) -> None:
    envelope = json.loads(dsse.sealed(STATEMENT, keys, "train"))
    envelope["signatures"].insert(0, {"keyid": "00", "sig": "AA=="})
    assert dsse.opened(json.dumps(envelope).encode(), keys, "train", "it") == STATEMENT
    envelope["signatures"] = []
    with pytest.raises(Refused):
        dsse.opened(json.dumps(envelope).encode(), keys, "train", "it")


def test_a_signature_over_a_plain_message_is_none_over_a_statement(keys: Keys) -> None:
    payload = json.dumps(STATEMENT).encode()
    signature = base64.b64encode(bytes.fromhex(keys.sign("train", payload).value)).decode()
    envelope = {
        "payloadType": dsse.PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": keys.key_id("train"), "sig": signature}],
    }
    with pytest.raises(Refused):
        dsse.opened(json.dumps(envelope).encode(), keys, "train", "it")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_changed_in_an_envelope_the_statement_is_the_signed_one_or_refused(keys: Keys, data: st.DataObject) -> None:
    envelope = bytearray(dsse.sealed(STATEMENT, keys, "train"))
    at = data.draw(st.integers(0, len(envelope) - 1))
    envelope[at : at + 1] = data.draw(st.binary(max_size=3))
    try:
        found: dict[str, Any] = dsse.opened(bytes(envelope), keys, "train", "it")
    except Refused:
        return
    assert found == STATEMENT
