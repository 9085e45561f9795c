"""Headwater: an AI data pipeline that can be traced back to its source.

A **stage** is a function from one artifact to the next. The **ledger** remembers every call. A **gate** may refuse its
result. Between stages travel artifacts; inside a stage travel Arrow record batches. Importing this does nothing: a name
below is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headwater.collect.table import Table
    from headwater.core.artifact import Artifact
    from headwater.core.gate import Finding, Severity, Verdict
    from headwater.pipeline.project import Project
    from headwater.pipeline.spec import Pipeline
    from headwater.process.step import day, step

__version__ = "0.1.0"
__all__ = ["Artifact", "Finding", "Pipeline", "Project", "Severity", "Table", "Verdict", "day", "step"]

_WHERE = {
    "Artifact": "headwater.core.artifact",
    "Finding": "headwater.core.gate",
    "Pipeline": "headwater.pipeline.spec",
    "Project": "headwater.pipeline.project",
    "Severity": "headwater.core.gate",
    "Table": "headwater.collect.table",
    "Verdict": "headwater.core.gate",
    "day": "headwater.process.step",
    "step": "headwater.process.step",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'headwater' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
