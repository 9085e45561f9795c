"""Digests: the same content has the same name, whatever file layout, encoding or library wrote it.

A table's digest is a Merkle root (RFC 6962 shape: domain-separated leaves and nodes) over leaves of 65,536 rows. A
leaf is SHA-256 over a canonical form: columns by name, each as its validity bits, then fixed-width little-endian
values or 32-bit lengths and bytes. Values hidden under nulls are zeroed, every NaN is one NaN, -0.0 is 0.0;
dictionary, large and view encodings are the plain type.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CHUNK_ROWS", "bytes_digest", "canonical_json", "chunk_digests", "json_digest", "merkle_root", "table_digest"]

CHUNK_ROWS = 65_536
_LEAF, _NODE, _EMPTY = b"\x00", b"\x01", b"\x02"


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no spaces and no NaN: one value, one text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def bytes_digest(content: bytes | memoryview) -> str:
    """`sha256:…` of bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def json_digest(value: Any) -> str:
    """`sha256:…` of a JSON value in canonical form."""
    return bytes_digest(canonical_json(value))


def merkle_root(leaves: Sequence[str]) -> str:
    """The root over digests in order. No leaf has a root of its own; one leaf is not its own root."""
    if not leaves:
        return "sha256:" + hashlib.sha256(_EMPTY).hexdigest()
    level = [hashlib.sha256(_LEAF + bytes.fromhex(leaf.removeprefix("sha256:"))).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = [hashlib.sha256(_NODE + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return "sha256:" + level[0].hex()


def table_digest(table: pa.Table) -> str:
    """The digest of a table's rows in the order they are in."""
    return merkle_root(chunk_digests(table))


def chunk_digests(table: pa.Table) -> list[str]:
    """One digest for each 65,536 rows of `table`, in order: a change is placed to within a chunk.

    Raises `TypeError` for a type that has no canonical form (duration, union, extension).
    """
    names = sorted(table.column_names)
    if len(set(names)) != len(names):
        raise TypeError(f"column names are not unique: {names}")
    table = table.select(names)
    head = canonical_json([[field.name, _type_name(field.type)] for field in table.schema])
    starts = range(0, table.num_rows, CHUNK_ROWS)

    def leaf(start: int) -> str:
        chunk = table.slice(start, CHUNK_ROWS)
        sha = hashlib.sha256(_LEAF + len(head).to_bytes(4, "little") + head + chunk.num_rows.to_bytes(4, "little"))
        for column in chunk.columns:
            for part in _canonical(_joined(column)):
                sha.update(part)
        return "sha256:" + sha.hexdigest()

    if len(starts) < 4:
        return [leaf(start) for start in starts]
    with ThreadPoolExecutor(max_workers=2) as pool:  # hashing releases the GIL
        return list(pool.map(leaf, starts))


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _type_name(kind: pa.DataType) -> str:
    import pyarrow.types as is_

    if is_.is_dictionary(kind):
        return _type_name(kind.value_type)
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        return "string"
    if is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_binary_view(kind) or is_.is_fixed_size_binary(kind):
        return "binary"
    if is_.is_struct(kind):
        return "struct<" + ",".join(f"{f.name}:{_type_name(f.type)}" for f in sorted(kind, key=lambda f: f.name)) + ">"
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        return f"list<{_type_name(kind.value_type)}>"
    if is_.is_duration(kind) or is_.is_union(kind) or is_.is_map(kind):
        raise TypeError(f"{kind} has no canonical form")
    return str(kind)


def _canonical(array: pa.Array) -> Iterable[bytes | memoryview]:
    """The canonical form of one column of one chunk, in parts."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as is_

    kind = array.type
    if is_.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if array.null_count:
        yield b"\x01"
        valid = array.is_valid()
        yield np.packbits(valid.to_numpy(zero_copy_only=False), bitorder="little").tobytes()
    else:
        yield b"\x00"
        valid = None

    if is_.is_null(kind):
        return
    if is_.is_struct(kind):
        for field in sorted(kind, key=lambda f: f.name):  # a child is null where its parent is
            child = pc.struct_field(array, field.name)
            yield from _canonical(child)
        return
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.uint32())
        yield lengths.to_numpy(zero_copy_only=False).tobytes()
        yield from _canonical(pc.list_flatten(array))
        return
    if is_.is_boolean(kind):
        yield np.packbits(_filled(array, False).to_numpy(zero_copy_only=False), bitorder="little").tobytes()
        return
    if _type_name(kind) in ("string", "binary"):
        yield from _var_width(array)
        return
    if is_.is_floating(kind):
        values = _filled(array, 0.0).to_numpy(zero_copy_only=False) + 0.0  # -0.0 + 0.0 is 0.0
        nans = np.isnan(values)
        if nans.any():
            values[nans] = np.nan
        yield values.tobytes()
        return
    yield _fixed_width(array, valid)


def _filled(array: pa.Array, value: object) -> pa.Array:
    import pyarrow as pa

    return array.fill_null(pa.scalar(value, array.type)) if array.null_count else array


def _var_width(array: pa.Array) -> Iterable[bytes | memoryview]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = array.cast(pa.large_binary()) if array.type != pa.large_binary() else array
    if plain.null_count:
        plain = pc.fill_null(plain, b"")
    offsets = np.frombuffer(plain.buffers()[1], dtype=np.int64, count=len(plain) + 1, offset=plain.offset * 8)
    yield np.diff(offsets).astype(np.uint32).tobytes()
    data = plain.buffers()[2]
    if data is not None and len(plain):
        yield memoryview(data)[offsets[0] : offsets[-1]]


def _fixed_width(array: pa.Array, valid: pa.Array | None) -> bytes:
    import numpy as np

    width = array.type.bit_width // 8
    raw = np.frombuffer(array.buffers()[1], dtype=np.uint8, count=len(array) * width, offset=array.offset * width)
    if valid is None:
        return raw.tobytes()
    rows = raw.reshape(len(array), width).copy()
    rows[~valid.to_numpy(zero_copy_only=False)] = 0
    return rows.tobytes()
