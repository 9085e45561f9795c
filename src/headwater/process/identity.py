"""Identity: the digest of a step is its code, the project's code and constants that it uses, and the libraries' versions.

The code is the compiled one, so that comments, blank lines and docstrings are no change; the version of Python belongs to it.
"""

from __future__ import annotations

import dis
import functools
import importlib
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Mapping
from datetime import date, time, timedelta
from enum import Enum
from importlib import metadata
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from headwater.core.digest import bytes_digest, json_digest
from headwater.process.keyed import to_json
from headwater.process.step import Step

__all__ = ["step_digest"]

_PLAIN = (str, int, float, complex, bool, bytes, type(None), type(...), date, time, timedelta, PurePath)


def step_digest(step: Step) -> str:
    """`sha256:…` of all that decides what a step makes of its inputs, short of the inputs."""
    walk = _Walk()
    declared = {
        "by": to_json(step.by),
        "time": step.time,
        "lookback": None if step.lookback is None else step.lookback.total_seconds(),
        "broadcast": list(step.broadcast),
        "contributor": str(step.contributor),
        "inputs": list(step.inputs),
        "frames": dict(step.frames),
    }
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return json_digest([step.name, declared, python, walk.value(step.function)])


class _Walk:
    """One walk over everything that a function refers to; what was seen before is named by its place in the walk."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # ids are only names while the objects live

    def value(self, value: Any) -> Any:
        """A JSON value that is equal for equal code and constants."""
        if isinstance(value, _PLAIN) and not isinstance(value, Enum):
            return [type(value).__name__, repr(value)]
        if id(value) in self.seen:
            return ["seen", self.seen[id(value)]]
        if not isinstance(value, tuple | frozenset):  # whether equal ones are one object is the compiler's affair
            self.seen[id(value)] = len(self.seen)
            self.alive.append(value)
        for kinds, describe in self._kinds():
            if isinstance(value, kinds):
                return describe(value)
        return self._object(value)

    def _kinds(self) -> list[tuple[Any, Any]]:
        return [
            (FunctionType, self._function),
            (CodeType, self._code),
            (ModuleType, self._module),
            (type, self._class),
            (BuiltinFunctionType, lambda f: ["builtin", f.__module__ or "", f.__qualname__]),
            (Step, lambda s: self.value(s.function)),
            (functools.partial, lambda p: [self.value(p.func), self.value(p.args), self.value(p.keywords)]),
            (Enum, lambda e: ["enum", type(e).__qualname__, e.name, repr(e.value)]),
            (re.Pattern, lambda p: ["pattern", repr(p.pattern), p.flags]),
            ((list, tuple), lambda v: [type(v).__name__, [self.value(x) for x in v]]),
            ((set, frozenset), lambda v: ["set", sorted(repr(x) for x in v)]),
            (Mapping, lambda v: ["map", [[self.value(k), self.value(x)] for k, x in v.items()]]),
        ]

    def _function(self, function: FunctionType) -> Any:
        if not _is_projects(function.__module__):
            return ["library", _library(function.__module__), function.__qualname__]
        inner = getattr(function, "__wrapped__", None)
        used = _names(function.__code__)
        return [
            "function",
            self._code(function.__code__),
            self.value(function.__defaults__),
            self.value(function.__kwdefaults__),
            [self.value(_content(cell)) for cell in function.__closure__ or ()],
            [[name, self.value(function.__globals__[name])] for name in sorted(used) if name in function.__globals__],
            [self._imported(name, function.__globals__) for name in _imports(function.__code__)],
            self.value(inner),
        ]

    def _code(self, code: CodeType) -> Any:
        """Instruction by instruction, constants and names by value: where they are kept depends on there being a docstring."""
        done = [
            [one.opname, self.value(one.argval) if one.opcode in dis.hasconst else str(one.argval)]
            for one in dis.get_instructions(code)
            if one.opname not in ("EXTENDED_ARG", "NOP")
        ]
        return ["code", code.co_argcount, code.co_kwonlyargcount, code.co_flags, list(code.co_varnames), done]

    def _class(self, kind: type) -> Any:
        if not _is_projects(kind.__module__):
            return ["library", _library(kind.__module__), kind.__qualname__]
        members = {k: v for k, v in vars(kind).items() if k not in ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__")}
        plain = {k: getattr(v, "__func__", getattr(v, "fget", v)) for k, v in members.items()}
        return ["class", kind.__qualname__, [self.value(b) for b in kind.__bases__], [[k, self.value(plain[k])] for k in sorted(plain)]]

    def _module(self, module: ModuleType) -> Any:
        if not _is_projects(module.__name__):
            return ["library", _library(module.__name__)]
        path = getattr(module, "__file__", None)
        source = bytes_digest(Path(path).read_bytes()) if path else None
        others = {
            name: value
            for name, value in vars(module).items()
            if isinstance(value, ModuleType) or getattr(value, "__module__", module.__name__) != module.__name__
        }
        return ["module", module.__name__, source, [[name, self.value(others[name])] for name in sorted(others) if name[:2] != "__"]]

    def _imported(self, name: str, names: Mapping[str, Any]) -> Any:
        """A module that is imported inside a function: the project's own are loaded, so that having run the step changes nothing."""
        level = len(name) - len(name.lstrip("."))
        package = str(names.get("__package__") or "")
        full = ".".join([*package.split(".")[: len(package.split(".")) - level + 1], name[level:]]) if level else name
        full = full.strip(".")
        if not _is_projects(full):
            return ["library", _library(full)]
        try:
            return self.value(importlib.import_module(full))
        except ImportError:
            return ["import", full]

    def _object(self, value: Any) -> Any:
        """Any other object: its class, and what tells it from others where that can be told."""
        kind = type(value)
        told: Any = ["object", kind.__qualname__, self._class(kind)]
        if kind.__module__.startswith(("numpy", "polars", "pyarrow", "pandas")):
            return [*told, _content_of_frame(value)]
        state = getattr(value, "__dict__", None)
        return [*told, self.value(state)] if isinstance(state, dict) else told


def _content_of_frame(value: Any) -> str:
    """Arrays, frames and expressions by what they hold."""
    if hasattr(value, "tobytes"):
        return bytes_digest(value.tobytes()) + str(value.dtype)
    if hasattr(value, "write_ipc"):
        return bytes_digest(repr(value.schema).encode() + repr(value.rows()).encode())
    if hasattr(value, "meta") and hasattr(value.meta, "serialize"):
        return bytes_digest(value.meta.serialize())
    if hasattr(value, "to_pylist"):
        return bytes_digest(repr(value.to_pylist()).encode())
    return repr(value)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that was not bound yet
        return None


def _names(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*(_names(one) for one in inner))


def _imports(code: CodeType) -> list[str]:
    found, level = set(), 0
    for one in dis.get_instructions(code):
        if one.opname == "LOAD_CONST" and isinstance(one.argval, int):
            level = one.argval  # the level of a relative import is loaded before it
        if one.opname == "IMPORT_NAME":
            found.add("." * level + one.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found.update(_imports(constant))
    return sorted(found)


@functools.cache
def _library_folders() -> tuple[Path, ...]:
    return tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


@functools.cache
def _is_projects(name: str | None) -> bool:
    """Whether a module belongs to the user's project: neither Python's, nor installed, nor Headwater's own."""
    top = (name or "").partition(".")[0]
    if (top in sys.stdlib_module_names and top != "__main__") or top in sys.builtin_module_names:
        return False
    if top == "headwater" and not (name or "").startswith("headwater.examples"):
        return False
    path = getattr(sys.modules.get(name or ""), "__file__", None) or _found(top)
    if path is None:
        return top == "__main__" or _version(top) is None
    real = Path(path).resolve()
    return "site-packages" not in real.parts and not any(folder in real.parents for folder in _library_folders())


def _found(top: str) -> str | None:
    """Where a module that may not be loaded yet would be loaded from."""
    try:
        spec = importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        return None
    return spec.origin if spec is not None and spec.origin not in ("built-in", "frozen", "namespace") else None


def _library(name: str | None) -> str:
    top = (name or "").partition(".")[0]
    version = None if top in sys.stdlib_module_names else _version(top)
    return f"{name}=={version or 'python'}"


@functools.cache
def _version(top: str) -> str | None:
    try:
        return metadata.version(top)
    except metadata.PackageNotFoundError:
        pass
    said = getattr(sys.modules.get(top), "__version__", None)
    if isinstance(said, str):
        return said
    owners = metadata.packages_distributions().get(top)
    return metadata.version(owners[0]) if owners else None
