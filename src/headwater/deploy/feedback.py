"""Feedback: what became of a prediction. Acknowledged only when it is on disk; the same twice is once."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from headwater.core.errors import Refused
from headwater.deploy.bounds import Says, parse_says, read_json
from headwater.deploy.direct import Direct
from headwater.deploy.door import Caller
from headwater.deploy.prediction_id import Claim
from headwater.deploy.schemas import SAYS, described
from headwater.deploy.service import Service, answer, timestamp

__all__ = ["Recent", "add_feedback"]


class Recent:
    """The newest names, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        """Remember a name; the oldest is forgotten."""
        self._names[name] = None
        if len(self._names) > self._most:
            self._names.popitem(last=False)


def add_feedback(app: FastAPI, service: Service) -> None:
    """Add `POST /feedback`."""
    acknowledged = Recent(100_000)

    async def feedback(request: Request) -> Response:
        caller = service.door.admit(request, "feedback")
        says = parse_says(await read_json(request, service.limits), service.limits)
        claim = _claim(service, says)
        service.door.pace(caller, says.user or claim.who)
        feedback_id = _feedback_id(says)
        repeated = feedback_id in acknowledged
        if repeated:
            service.metrics.repeated.inc()
        else:
            await _on_disk(service, _row(service, feedback_id, says, claim, caller))
            acknowledged.add(feedback_id)
            service.metrics.feedback.inc()
        return answer({"feedback_id": feedback_id, "repeated": repeated})

    about = described(SAYS, "feedback") | {"summary": "Say what became of a prediction", "tags": ["feedback"]}
    app.router.add_api_route("/feedback", feedback, methods=["POST"], route_class_override=Direct, **about)


def _claim(service: Service, says: Says) -> Claim:
    try:
        return service.ids.read(says.prediction_id, item=says.item, user=says.user)
    except Refused as refused:
        code = refused.verdict.findings[0].code if refused.verdict else "feedback.forged"
        service.metrics.refused(code.removeprefix("feedback.")).inc()
        raise HTTPException(410 if code == "feedback.expired" else 422, str(refused)) from None


def _feedback_id(says: Says) -> str:
    """Derived, so that the table that collects feedback by this key has the same feedback once, whoever sends it again."""
    parts = "\n".join((says.prediction_id, says.event, says.item))  # neither of the first two can hold a line break
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _row(service: Service, feedback_id: str, says: Says, claim: Claim, caller: Caller) -> dict[str, Any]:
    return {
        "feedback_id": feedback_id,
        "prediction_id": says.prediction_id,
        "ts": timestamp(time.time_ns() // 1000),
        "user": says.user or claim.who,
        "item": says.item,
        "event": says.event,
        "position": claim.position,
        "model": service.serving.name,
        "version": claim.version,
        "asserted_by": caller.asserts,
    }


async def _on_disk(service: Service, row: dict[str, Any]) -> None:
    """Return once the row is synced. Raises a 503 if it is not: what was not acknowledged may be sent again."""
    loop = asyncio.get_running_loop()
    synced: asyncio.Future[OSError | None] = loop.create_future()

    def settle(error: OSError | None) -> None:
        if not synced.done():  # the caller may have gone away
            synced.set_result(error)

    def done(error: OSError | None) -> None:
        loop.call_soon_threadsafe(settle, error)

    if not service.spool.add_feedback(row, done) or await synced is not None:
        raise HTTPException(503, "feedback cannot be kept at the moment: send it again later", {"retry-after": "5"})
