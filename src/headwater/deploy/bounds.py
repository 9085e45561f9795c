"""Bounds: what a request may hold. Everything outside is a 4xx with one sentence, and is never echoed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request

from headwater.core.names import NAME, printable

__all__ = ["Ask", "Limits", "Says", "check_id", "check_ids", "check_k", "parse_ask", "parse_says", "read_json"]

_JSON = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number", type(None): "null"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is let in. A contributor is a user, or who calls where no user is named; a caller is an API key or an address."""

    body_bytes: int = 64 * 1024
    body_s: float = 10.0
    id_chars: int = 256
    history: int = 200
    k: int = 100
    batch: int = 64
    contributor_per_s: float = 20.0
    contributor_burst: float = 100.0
    caller_per_s: float = 20_000.0
    caller_burst: float = 40_000.0
    feedback_days: float = 30.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A checked request for recommendations."""

    user: str | None
    history: Sequence[str]
    k: int


@dataclass(frozen=True, slots=True)
class Says:
    """A checked piece of feedback; that its prediction was made is not checked yet."""

    prediction_id: str
    item: str
    event: str
    user: str | None


async def read_json(request: Request, limits: Limits, *, wrong: Literal[400, 422] = 422) -> dict[str, Any]:
    """The body as a JSON object. 413 as soon as it is known to be too large, 408 if it does not come, 400 if it is no JSON."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:20]) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_s):
            body = await _body(request, limits)
    except TimeoutError:
        raise HTTPException(408, f"the body did not come within {limits.body_s:g} seconds", {"connection": "close"}) from None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"the body is not JSON: {printable(error.msg, 80)}") from None
    if not isinstance(value, dict):
        raise HTTPException(wrong, f"the body must be a JSON object, this is {_JSON[type(value)]}")
    return value


async def _body(request: Request, limits: Limits) -> bytearray:
    """The parts of the body, joined, and never more than are allowed in memory."""
    body, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise HTTPException(400, "the caller went away")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
    return body


def parse_ask(body: dict[str, Any], limits: Limits) -> Ask:
    """The body of `/recommend`. Raises a 422."""
    _only(body, {"user", "history", "k"})
    user = body.get("user")
    if user is not None:
        check_id(user, "user", limits)
    history = body.get("history") or []
    check_ids(history, "history", limits)
    return Ask(user, history, check_k(body.get("k", 10), limits))


def parse_says(body: dict[str, Any], limits: Limits) -> Says:
    """The body of `/feedback`. Raises a 422."""
    _only(body, {"prediction_id", "item", "event", "user"})
    prediction_id = body.get("prediction_id")
    if not isinstance(prediction_id, str):
        raise HTTPException(422, "prediction_id must be the string that came with the prediction")
    event = body.get("event")
    if not isinstance(event, str) or not NAME.fullmatch(event):
        raise HTTPException(422, "event must be a name such as 'click', 'view' or 'buy': lower-case letters, digits, '_' or '-'")
    user = body.get("user")
    if user is not None:
        check_id(user, "user", limits)
    return Says(prediction_id, check_id(body.get("item"), "item", limits), event, user)


def check_id(value: Any, what: str, limits: Limits, *, wrong: int = 422) -> str:
    """A user or an item: a string of printable characters, not empty, not long."""
    if not isinstance(value, str):
        raise HTTPException(wrong, f"{what} must be a string, this is {_JSON.get(type(value), 'something else')}")
    if not 0 < len(value) <= limits.id_chars:
        raise HTTPException(wrong, f"{what} must have 1 to {limits.id_chars} characters, this has {len(value)}")
    if not value.isprintable():
        raise HTTPException(wrong, f"{what} must hold no control or invisible characters")
    return value


def check_ids(value: Any, what: str, limits: Limits, *, wrong: int = 422) -> None:
    """A list of items, not long."""
    if not isinstance(value, list):
        raise HTTPException(wrong, f"{what} must be a list of strings, this is {_JSON.get(type(value), 'something else')}")
    if len(value) > limits.history:
        raise HTTPException(wrong, f"{what} must have at most {limits.history} items, this has {len(value)}")
    for item in value:
        check_id(item, f"each item of {what}", limits, wrong=wrong)


def check_k(value: Any, limits: Limits, *, wrong: int = 422) -> int:
    """How many items are wanted."""
    if type(value) is not int or not 1 <= value <= limits.k:
        raise HTTPException(wrong, f"k must be a whole number from 1 to {limits.k}")
    return value


def _only(body: dict[str, Any], known: set[str]) -> None:
    unknown = body.keys() - known
    if unknown:
        name = printable(min(unknown), 40)
        raise HTTPException(422, f"{name!r} is not a field here: the fields are {', '.join(sorted(known))}")


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"the body must have at most {limits.body_bytes} bytes", {"connection": "close"})
