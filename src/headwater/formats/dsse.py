"""Signed statements: DSSE envelopes (v1, Ed25519) over in-toto statements (v1).

What is signed is the pre-authentication encoding of type and payload, so a signature over one kind of document is
none over another.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from headwater.core.digest import canonical_json
from headwater.core.errors import DataError, Refused
from headwater.core.keys import Keys, Role, Signature
from headwater.formats.strictjson import parse_object

__all__ = ["PAYLOAD_TYPE", "STATEMENT_TYPE", "opened", "pae", "sealed", "statement"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_ENVELOPE = 4 * 1024 * 1024


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding of DSSE v1: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def statement(subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """An in-toto statement about files, given as name → `sha256:…`."""
    named = [{"name": name, "digest": {"sha256": subjects[name].removeprefix("sha256:")}} for name in sorted(subjects)]
    return {"_type": STATEMENT_TYPE, "subject": named, "predicateType": predicate_type, "predicate": dict(predicate)}


def sealed(content: Mapping[str, Any], keys: Keys, role: Role) -> bytes:
    """The envelope around `content`, signed as `role`."""
    payload = canonical_json(content)
    signature = keys.sign(role, pae(PAYLOAD_TYPE, payload))
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": signature.key, "sig": base64.b64encode(bytes.fromhex(signature.value)).decode()}],
    }
    return json.dumps(envelope, indent=1, sort_keys=True).encode()


def opened(envelope: bytes, keys: Keys, role: Role, what: str) -> dict[str, Any]:
    """The statement in `envelope`, once its signature by the key pinned for `role` holds over exactly its bytes.

    Raises `Refused`, naming `what`, for anything else: nothing of an envelope is used before it is verified.
    """
    try:
        outer = parse_object(envelope, what, limit=MAX_ENVELOPE)
        payload, signatures = _parts(outer)
    except DataError as error:
        raise Refused(f"{what} is no signed statement: {error}") from error
    if not any(keys.verify(signature, pae(PAYLOAD_TYPE, payload)) for signature in _signatures(signatures, role)):
        raise Refused(f"{what} is not signed by the key pinned for the role {role}, or was changed after it was")
    try:
        content = parse_object(payload, f"{what}: its statement", limit=MAX_ENVELOPE)
    except DataError as error:
        raise Refused(str(error)) from error
    if content.get("_type") != STATEMENT_TYPE:
        raise Refused(f"{what} holds no in-toto statement v1")
    return content


def _parts(outer: Mapping[str, Any]) -> tuple[bytes, list[Any]]:
    if outer.get("payloadType") != PAYLOAD_TYPE or not isinstance(outer.get("signatures"), list):
        raise DataError(f"payloadType {PAYLOAD_TYPE} and signatures expected")
    return _decoded(outer.get("payload")), outer["signatures"]


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (AttributeError, ValueError, binascii.Error) as error:
        raise DataError("base64 expected") from error


def _signatures(entries: list[Any], role: Role) -> list[Signature]:
    found = []
    for entry in entries[:16]:
        try:
            found.append(Signature(role=role, key=str(entry["keyid"]), value=_decoded(entry["sig"]).hex()))
        except (TypeError, KeyError, DataError):
            continue  # an entry we cannot read proves nothing
    return found
