"""Wire types: in which form values of a declared type come as text, and which JSON values are of that form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

__all__ = ["Misfit", "fit", "told", "wire_schema"]

_EXACT = 2**53
_TEXT, _WHOLE = pa.string(), pa.int64()
_MOST_LEAVES = 64


class Misfit(Exception):
    """A record that is no row: a stable code and a reason for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def wire_schema(schema: pa.Schema | None) -> pa.Schema:
    """The declared columns as JSON can carry them: whole numbers as int64, others as float64, true and false, lists and
    structs of them, and everything else (times, dates, decimals, bytes) as text."""
    return pa.schema([(column.name, _wire(column.type)) for column in schema or ()])


def _wire(kind: Any) -> Any:
    if pa.types.is_boolean(kind):
        return kind
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_wire(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(one.name, _wire(one.type)) for one in kind])
    return pa.string()


def fit(name: str, value: Any, kind: Any) -> Any:
    """`value`, as JSON gave it, in the form of the wire type `kind`. Raises `Misfit`."""
    if value is None or (type(value) is str and kind == _TEXT):
        return value
    if kind == _WHOLE:
        return _whole(name, value)
    if kind == pa.float64() and type(value) in (int, float):
        return float(value)
    if kind == pa.bool_() and type(value) is bool:
        return value
    if pa.types.is_list(kind) and type(value) is list:
        return [fit(name, one, kind.value_type) for one in value]
    if pa.types.is_struct(kind) and type(value) is dict:
        return {one.name: fit(name, value.get(one.name), one.type) for one in kind}
    raise _wrong(name, value, kind)


def _whole(name: str, value: Any) -> int:
    if type(value) is int:
        if -(2**63) <= value < 2**63:
            return value
    elif type(value) is float and value.is_integer():
        if abs(value) <= _EXACT:
            return int(value)
    else:
        raise _wrong(name, value, pa.int64())
    raise Misfit("json.number", f"{name} is a whole number beyond 64 bits")


def _wrong(name: str, value: Any, kind: Any) -> Misfit:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a whole number", float: "a fraction"}
    wanted = {pa.int64(): "a whole number", pa.float64(): "a number", pa.bool_(): "true or false", pa.string(): "a string"}
    expected = wanted.get(kind) or ("a list" if pa.types.is_list(kind) else "an object")
    return Misfit("json.type", f"{name} is {names[type(value)]}: expected {expected}")


def told(values: Sequence[Any]) -> Any:
    """The type of an undeclared column with these values, None if there is no one type."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {str}:
        return pa.string()
    if kinds and kinds <= {int, float}:
        small = kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values)
        return pa.int64() if small else pa.float64()
    if kinds not in ({list}, {dict}):
        return None
    try:
        kind = pa.infer_type(values)
    except (pa.ArrowException, OverflowError):
        return None
    return kind if _leaves(kind) <= _MOST_LEAVES else None


def _leaves(kind: Any) -> int:
    if pa.types.is_struct(kind):
        return sum(1 + _leaves(one.type) for one in kind)
    return 1 + _leaves(kind.value_type) if pa.types.is_list(kind) else 1
