"""Artifact: what travels between stages, named by the digest of what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from html import escape
from typing import Any

__all__ = ["Artifact", "Fact"]

Fact = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """Something a stage made.

    Guarantees: frozen; `uri` is logical (`lake:prepared/interactions@7`), never an expanded address, never a
    secret; `digest` is `sha256:…` of what it holds; `parents` are the digests it was made from; `facts` are counts
    and metrics, never data.
    """

    uri: str
    digest: str
    parents: tuple[str, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """This artifact as plain JSON values, one key per field."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.repr}
        return json.loads(json.dumps(plain, default=_plain))  # type: ignore[no-any-return]

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
            for name, value in {"digest": self.digest, **self.facts}.items()
        )
        return f"<table><caption>{type(self).__name__} <code>{escape(self.uri)}</code></caption>{rows}</table>"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name, f in value.__dataclass_fields__.items() if f.repr}
    return str(value)
