"""Origin: the code and the environment that a model comes from, as far as they may alter what it learns."""

from __future__ import annotations

import inspect
import platform
import sys
from importlib import metadata
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from headwater.core.digest import bytes_digest, json_digest

if TYPE_CHECKING:
    from headwater.train.trainer import Data, Trainer

__all__ = ["code_digest", "derivation", "environment"]


def code_digest(trainer: Trainer) -> str:
    """The digest of the trainer's code, of that of the trainer it wraps if it does, and of everything in `headwater.train`."""
    sources = _package("headwater.train")
    wrapped: Any = trainer
    while wrapped is not None:
        sources |= _sources(type(wrapped))
        wrapped = getattr(wrapped, "trainer", None)
    return json_digest({name: bytes_digest(source) for name, source in sources.items()})


def _sources(kind: type) -> dict[str, bytes]:
    """The module of a class; where a framework is a package of its own, all of it."""
    module = sys.modules[kind.__module__]
    if module.__name__.startswith("headwater.frameworks.") and module.__name__.count(".") > 2:
        return _package(module.__name__.rpartition(".")[0])
    try:
        return {module.__name__: inspect.getsource(module).encode()}
    except (OSError, TypeError):  # defined where there is no file, in an interactive session: its class has to do
        return {module.__name__: repr(kind).encode()}


def _package(name: str) -> dict[str, bytes]:
    return {f"{name}/{file.name}": file.read_bytes() for file in files(name).iterdir() if file.name.endswith(".py")}


def environment(trainer: Trainer) -> dict[str, str]:
    """Python, the machine's kind, and the version of every library that the trainer names."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    for name in sorted({*trainer.libraries(), "numpy", "optuna", "polars"}):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def derivation(data: Data, trainer: Trainer, *, name: str, seed: int) -> str:
    """What a model is made from: data, what was declared, code, environment, seed. The same means the same model."""
    parts = {
        "name": name,
        "dataset": data.digest,
        "framework": trainer.framework,
        "declared": dict(trainer.declared()),
        "seed": seed,
        "code": code_digest(trainer),
        "environment": environment(trainer),
    }
    return json_digest(parts)
