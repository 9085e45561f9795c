"""Door: who may come in, for what, and how often."""

from __future__ import annotations

import math
import time

from starlette.exceptions import HTTPException
from starlette.requests import Request

from headwater.deploy.access import ApiKeys, Pace, Scope
from headwater.deploy.bounds import Limits

__all__ = ["Caller", "Door"]


class Caller(str):
    """Who calls: `key:<name>` where an API key was shown, else `host:<address>`."""

    __slots__ = ()

    @property
    def asserts(self) -> str:
        """How far a user id from this caller can be believed: `source` behind an API key, else `payload` (anyone may claim it)."""
        return "source" if self.startswith("key:") else "payload"


class Door:
    """Lets a request in or raises 401 (no valid key), 403 (a key without the scope) or 429 (too fast).

    `keys` None means that nobody needs a key: that is only so where the profile says `auth = "none"`.
    """

    def __init__(self, keys: ApiKeys | None, limits: Limits) -> None:
        self._keys = keys
        self._contributors = Pace(limits.contributor_per_s, limits.contributor_burst)
        self._callers = Pace(limits.caller_per_s, limits.caller_burst, most=10_000)

    def admit(self, request: Request, scope: Scope) -> Caller:
        """Who calls, if he may do this."""
        if self._keys is None:
            return Caller(f"host:{request.client.host if request.client else 'unknown'}")
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        key = self._keys.find(token) if kind.lower() == "bearer" and 0 < len(token) <= 256 else None
        if key is None:
            why = "this API key is not known" if token else "an API key is needed: send the header 'Authorization: Bearer <key>'"
            raise HTTPException(401, why, {"www-authenticate": "Bearer"})
        if scope not in key.scopes:
            raise HTTPException(403, f"this API key may not do this: it lacks the scope '{scope}'")
        return Caller(f"key:{key.name}")

    def pace(self, caller: Caller, user: str | None, cost: float = 1.0) -> None:
        """Raise a 429 with `Retry-After` if this caller, or this contributor through any caller, goes too fast."""
        now = time.monotonic()
        wait = self._callers.wait(caller, now, cost)
        if not wait and (user is not None or self._keys is None):
            wait = self._contributors.wait(caller if user is None else f"user:{user}", now)
        if wait:
            raise HTTPException(429, "too many requests: wait, then try again", {"retry-after": str(math.ceil(wait))})
