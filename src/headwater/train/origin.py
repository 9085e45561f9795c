"""Origin: the code and the environment that a model comes from, as far as they may alter what it learns."""

from __future__ import annotations

import inspect
import platform
import sys
from importlib import metadata
from importlib.resources import files
from typing import TYPE_CHECKING

from headwater.core.digest import bytes_digest, json_digest

if TYPE_CHECKING:
    from headwater.train.trainer import Data, Trainer

__all__ = ["code_digest", "derivation", "environment"]


def code_digest(trainer: Trainer) -> str:
    """The digest of the trainer's module and of everything in `headwater.train`."""
    sources = {
        f"headwater.train/{file.name}": file.read_bytes() for file in files("headwater.train").iterdir() if file.name.endswith(".py")
    }
    module = sys.modules[type(trainer).__module__]
    try:
        sources[module.__name__] = inspect.getsource(module).encode()
    except (OSError, TypeError):  # defined where there is no file, in an interactive session: its class has to do
        sources[module.__name__] = repr(type(trainer)).encode()
    return json_digest({name: bytes_digest(source) for name, source in sources.items()})


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
