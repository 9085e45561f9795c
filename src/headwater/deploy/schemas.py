"""Schemas: the routes as OpenAPI tells of them, and a page that lists them without loading anything from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import FastAPI

__all__ = ["ASK", "INFER", "ROWS", "SAYS", "described", "page", "secured"]

_ID = {"type": "string", "minLength": 1, "maxLength": 256}

ASK: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "user": {**_ID, "description": "Whom it is for; may be one never seen, or left out."},
        "history": {"type": "array", "maxItems": 200, "items": _ID, "description": "What he did lately, oldest first."},
        "k": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
    },
    "example": {"user": "u1", "history": ["i7"], "k": 10},
}

ROWS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["rows"],
    "properties": {
        "rows": {
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": {"type": "object", "additionalProperties": {"type": ["number", "boolean", "string", "null"]}},
            "description": "Each with a value for every feature of the model; null where it is missing. `/v2/models/NAME` lists them.",
        },
        "user": {**_ID, "description": "Whom they are about, if it is somebody."},
    },
    "example": {"rows": [{"age": 41, "smoker": False, "site": "north"}]},
}

SAYS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["prediction_id", "item", "event"],
    "properties": {
        "prediction_id": {"type": "string", "description": "As it came with the prediction."},
        "item": {**_ID, "description": "One of the items that the prediction showed."},
        "event": {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,62}$", "example": "click"},
        "user": {**_ID, "description": "If given, the user the prediction was made for."},
    },
}

_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string", "description": "user, history or k; for a classifier, one of its features."},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string", "enum": ["BYTES", "INT64", "FP64", "BOOL"]},
        "data": {"type": "array", "items": {}},
    },
}

INFER: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": _TENSOR}, "outputs": {"type": "array", "items": {}}},
    "example": {"inputs": [{"name": "user", "shape": [1], "datatype": "BYTES", "data": ["u1"]}]},
}


def described(body: dict[str, Any] | None, scope: str | None) -> dict[str, Any]:
    """Arguments of a route: its body, the scope it needs, and how it fails."""
    extra: dict[str, Any] = {}
    if body is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if scope is not None:
        extra["security"] = [{"bearer": []}]
        extra["description"] = f"Needs an API key with the scope `{scope}`."
    error = {"type": "object", "properties": {"error": {"type": "string"}}}
    failed = {"description": "What is wrong, in one sentence.", "content": {"application/json": {"schema": error}}}
    return {"openapi_extra": extra, "responses": {"4XX": failed, "5XX": failed}, "response_model": None}


def secured(app: FastAPI) -> None:
    """Tell in the OpenAPI document how a key is shown."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def page(document: dict[str, Any]) -> str:
    """The routes as one HTML page that needs nothing else."""
    rows = "".join(
        f"<tr><td><code>{escape(method.upper())}</code><td><code>{escape(path)}</code><td>{escape(route.get('summary', ''))}"
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    )
    title = escape(document["info"]["title"])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}td{padding:.2em 1em .2em 0}</style>"
        f"<h1>{title}</h1><table>{rows}</table><p>All of it for machines: <a href=openapi.json>openapi.json</a></p></html>"
    )
