"""Prediction ids: a name for one prediction that proves it was made here, for whom, when, and what was shown.

An id is base64url of: format, epoch, time, 64 random bits, the user's pseudonym, 64 bits of the model's digest, the
version, four bytes for each item shown in order (keyed BLAKE2b), and HMAC-SHA-256 over all
of it and the deployment's name, cut to 128 bits. It stands by itself: a restarted server, or another replica with the
same keys, can check it without a look-up. It does not tell the user or the items.
"""

from __future__ import annotations

import base64
import hmac
import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from headwater.core.errors import Refused
from headwater.core.gate import Finding, Severity, Verdict
from headwater.core.keys import Keys
from headwater.deploy.deployment import Deployment

__all__ = ["Claim", "PredictionIds", "refusal"]

_HEAD = struct.Struct(">BIQ8s16s8sBB")
_FORMAT = 1
_TAG = 4
_MAC = 16
_NOBODY = bytes(16)
_SKEW_US = 300 * 1_000_000
MOST_CHARS = 4 * -(-(_HEAD.size + 63 + 100 * _TAG + _MAC) // 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What a valid id proves. `position` is where the item was shown, 0 first; `who` is a pseudonym or None."""

    epoch: int
    at_us: int
    who: str | None
    version: str
    position: int


def refusal(code: str, message: str) -> Refused:
    """A refusal of feedback, with a stable code for machines."""
    finding = Finding(severity=Severity.BLOCK, code=f"feedback.{code}", subject="feedback", message=message)
    return Refused(message, Verdict(gate="prediction-id", digest="", findings=(finding,)))


class PredictionIds:
    """Makes and checks the ids of one deployment name. `expires_s`: older ids are refused. `now_us` is the clock."""

    def __init__(
        self, name: str, keys: Keys, *, expires_s: float = 30 * 86_400, now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        root = bytes.fromhex(keys.mac(b"prediction", b"prediction id 1\n" + name.encode()))  # so ids of another name or project fail
        self._mac_key = hmac.digest(root, b"mac", "sha256")
        item_key = hmac.digest(root, b"item", "sha256")
        self._tag = lru_cache(maxsize=100_000)(lambda item: blake2b(item.encode(), digest_size=_TAG, key=item_key).digest())
        self._expires_us = int(expires_s * 1_000_000)
        self._now_us = now_us
        self._pseudonym = lru_cache(maxsize=50_000)(lambda user: bytes.fromhex(keys.pseudonym(user).removeprefix("p:")))

    def make(self, deployment: Deployment, user: str | None, items: Sequence[str], at_us: int) -> str:
        """A new id for these items (at most 100), shown to this user."""
        version = deployment.version.encode()
        who = _NOBODY if user is None else self._pseudonym(user)
        model = bytes.fromhex(deployment.model_digest[7:23])
        head = _HEAD.pack(_FORMAT, deployment.epoch, at_us, os.urandom(8), who, model, len(version), len(items))
        body = head + version + b"".join(map(self._tag, items))
        return base64.urlsafe_b64encode(body + hmac.digest(self._mac_key, body, "sha256")[:_MAC]).decode().rstrip("=")

    def read(self, text: str, *, item: str, user: str | None = None) -> Claim:
        """What the id proves about `item`. Raises `Refused`: forged, expired, another item, another user."""
        body = self._body(text)
        _, epoch, at_us, _, who, _, version_bytes, shown = _HEAD.unpack_from(body)
        age_us = self._now_us() - at_us
        if not -_SKEW_US <= age_us <= self._expires_us:
            raise refusal("expired", f"the prediction is too old: feedback is taken for {self._expires_us // 86_400_000_000} days")
        if user is not None and who not in (_NOBODY, self._pseudonym(user)):
            raise refusal("other-user", "the prediction was made for another user")
        start = _HEAD.size + version_bytes
        tags = [body[at : at + _TAG] for at in range(start, start + shown * _TAG, _TAG)]
        tag = self._tag(item)
        if tag not in tags:
            raise refusal("other-item", "the item was not among those the prediction showed")
        return Claim(
            epoch=epoch,
            at_us=at_us,
            who=None if who == _NOBODY else "p:" + who.hex(),
            version=body[_HEAD.size : start].decode(),
            position=tags.index(tag),
        )

    def _body(self, text: str) -> bytes:
        forged = refusal("forged", "prediction_id does not name a prediction made here")
        if len(text) > MOST_CHARS or not text.isascii():
            raise forged
        try:
            whole = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise forged from None
        body, mac = whole[:-_MAC], whole[-_MAC:]
        canonical = base64.urlsafe_b64encode(whole).decode().rstrip("=") == text  # else one prediction would have many ids
        if not canonical or not hmac.compare_digest(hmac.digest(self._mac_key, body, "sha256")[:_MAC], mac):
            raise forged
        if len(body) < _HEAD.size or body[0] != _FORMAT:
            raise forged
        return body
