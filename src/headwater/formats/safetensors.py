"""safetensors: arrays in a file that cannot run code, read strictly and written the same way every time.

The layout is the published one (8 bytes of header length, a JSON header, the data). The reader takes bytes that were
already verified or not: it trusts nothing in them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headwater.core.digest import canonical_json
from headwater.core.errors import DataError
from headwater.core.names import printable
from headwater.formats.strictjson import parse_object

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read", "write"]

MAX_HEADER = 4 * 1024 * 1024
MAX_DIMENSIONS = 8
_DTYPES: Mapping[str, str] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip


def write(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The file that holds `arrays`. The same arrays give the same bytes, whatever their order in the mapping.

    Raises `DataError` for a type that the format lacks, or a number that is not finite.
    """
    import numpy as np

    codes = {np.dtype(code): name for name, code in _DTYPES.items()}
    little = {name: np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<"), copy=False).reshape(a.shape) for name, a in arrays.items()}
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    start = 0
    for name in sorted(little, key=lambda n: (-little[n].dtype.itemsize, n)):  # widest first: everything stays aligned
        array = little[name]
        if array.dtype not in codes or name == "__metadata__":
            raise DataError(f"array {name!r} of type {array.dtype} cannot be kept as safetensors")
        _require_finite(name, array)
        end = start + array.nbytes
        header[name] = {"dtype": codes[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
        parts.append(array.tobytes())
        start = end
    text = canonical_json(header)
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def read(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays in `content`: read-only views of it, so a header that lies allocates nothing.

    Raises `DataError` unless the header is clean JSON without repeated keys, every array has a known type and exactly
    the bytes that its shape needs, the arrays cover the data without overlap or gap, and every number is finite.
    """
    if len(content) < 8:
        raise DataError(f"a safetensors file has at least 8 bytes, this one {len(content)}")
    length = int.from_bytes(content[:8], "little")
    if length > min(MAX_HEADER, len(content) - 8):
        raise DataError(f"the safetensors header claims {length} bytes; the file has {len(content)}, and {MAX_HEADER} are allowed")
    header = parse_object(content[8 : 8 + length], "the safetensors header", limit=MAX_HEADER)
    _check_metadata(header.pop("__metadata__", {}))
    places = {name: _place(name, entry) for name, entry in header.items()}
    _require_covered([span for _, _, span in places.values()], len(content) - 8 - length)
    return {name: _view(name, content, 8 + length, *place) for name, place in places.items()}


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DataError("the safetensors metadata is not a mapping of texts")


def _place(name: str, entry: Any) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    """Type, shape and span of one array, once they fit each other."""
    import numpy as np

    shown = printable(name, 80)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise DataError(f"array {shown!r}: dtype, shape and data_offsets expected, nothing else")
    dtype, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise DataError(f"array {shown!r}: type {printable(str(dtype), 40)!r} is not one of {', '.join(_DTYPES)}")
    if not _is_counts(shape) or len(shape) > MAX_DIMENSIONS or not _is_counts(span) or len(span) != 2:
        raise DataError(f"array {shown!r}: shape or data_offsets are not lists of counts")
    if span[1] - span[0] != math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize:
        raise DataError(f"array {shown!r}: its shape does not fit its {span[1] - span[0]} bytes")
    return _DTYPES[dtype], tuple(shape), (span[0], span[1])


def _is_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 2**48 for v in value)


def _require_covered(spans: list[tuple[int, int]], size: int) -> None:
    at = 0
    for start, end in sorted(spans):
        if start != at:
            raise DataError(f"safetensors data overlap or leave a gap at byte {min(at, start)}")
        at = end
    if at != size:
        raise DataError(f"the safetensors header describes {at} bytes of data, the file has {size}")


def _view(name: str, content: bytes, base: int, code: str, shape: tuple[int, ...], span: tuple[int, int]) -> NDArray[Any]:
    import numpy as np

    dtype = np.dtype(code)
    if span[0] == span[1]:
        if math.prod(d or 1 for d in shape) >= 2**48:
            raise DataError(f"array {printable(name, 80)!r}: an empty array with an absurd shape")
        return np.empty(shape, dtype)
    if dtype.kind == "b" and content[base + span[0] : base + span[1]].translate(None, b"\x00\x01"):
        raise DataError(f"array {printable(name, 80)!r}: a truth value is neither 0 nor 1")
    array = np.frombuffer(content, dtype, count=math.prod(shape), offset=base + span[0]).reshape(shape)
    _require_finite(name, array)
    return array


def _require_finite(name: str, array: np.ndarray[Any, Any]) -> None:
    import numpy as np

    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"array {printable(name, 80)!r} holds NaN or infinity")
