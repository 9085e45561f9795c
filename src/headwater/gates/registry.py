"""The registry of gates: which ones judge a pipeline that names none. Others come by entry point."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from headwater.core.errors import UsageError

if TYPE_CHECKING:
    from headwater.collect.table import Table
    from headwater.core.gate import Gate
    from headwater.train.trainer import Trainer

__all__ = ["ENTRY_POINTS", "GATES", "defaults"]

ENTRY_POINTS = "headwater.gates"
GATES = {"labels": "headwater.gates.defaults:labels", "tastes": "headwater.gates.defaults:tastes"}
"""Name → a function of the raw tables and the trainer that gives the gates it has for them, maybe none. Other packages add
some by entry points of the group `headwater.gates`; ours cannot be replaced."""

Defaults = Callable[["Sequence[Table]", "Trainer"], "Sequence[Gate]"]


def defaults(tables: Sequence[Table], trainer: Trainer) -> tuple[Gate, ...]:
    """Every gate that has something to say about these tables. One that does not load is an error: no answer is not a yes."""
    from importlib.metadata import entry_points

    where = {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)} | GATES
    return tuple(gate for name in sorted(where) for gate in _load(name, where[name])(tables, trainer))


def _load(name: str, where: str) -> Defaults:
    module, _, attribute = where.partition(":")
    try:
        return cast("Defaults", getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the gate {name} ({where}) does not load: {error}. Mend or uninstall its package, or name the gates: gates=[…]"
        ) from error
