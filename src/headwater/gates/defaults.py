"""Defaults: the gates that a pipeline has without naming any: labels where classes are learned, tastes where items are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headwater.gates.admission import Admission
from headwater.gates.labels import Labels
from headwater.gates.tastes import Tastes

if TYPE_CHECKING:
    from headwater.collect.table import Table
    from headwater.core.gate import Gate
    from headwater.train.trainer import Trainer

__all__ = ["labels", "tastes"]


def labels(tables: Sequence[Table], trainer: Trainer) -> list[Gate]:
    """Two for each raw table that has the column which a classifier learns to tell, and says who wrote a row."""
    label = trainer.declared().get("label")
    if not isinstance(label, str):
        return []
    said = trainer.declared().get("features")
    named: list[str] = json.loads(said) if isinstance(said, str) else []  # facts are plain: a list is its JSON
    found: list[Gate] = []
    for table in tables:
        columns = set(table.checked().schema.names)
        if table.contributor is not None and label in columns:
            features = tuple(named) if columns.issuperset(named) else ()
            found += [Labels(table=table.name, label=label, features=features), Admission(table=table.name)]
    return found


def tastes(tables: Sequence[Table], trainer: Trainer) -> list[Tastes]:
    """One for each raw table that says which user turned to which item, in the trainer's words or as feedback does."""
    declared = trainer.declared()
    user, item = declared.get("user"), declared.get("item")
    if not isinstance(user, str) or not isinstance(item, str):
        return []
    found = []
    for table in tables:
        columns = set(table.checked().schema.names)
        for names in ((user, item), ("user", "item")):
            if table.contributor is not None and columns.issuperset(names):
                found.append(Tastes(table=table.name, user=names[0], item=names[1]))
                break
    return found
