"""Table: what the user declares about records that belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headwater.core.errors import UsageError
from headwater.core.names import check_name

if TYPE_CHECKING:
    from headwater.collect.contract import Contract

__all__ = ["Mode", "Table"]

Mode = Literal["append", "upsert", "snapshot"]


@dataclass(frozen=True)
class Table:
    """A table of the lake, as its user declares it.

    `contract` is a pandera (Polars) DataFrameModel; `key` names a record, `contributor` who wrote it, `time` when;
    `media` is a column of digests of blobs; `axes` are columns that say where else a record came through (a channel, a device):
    gates judge what is new along each of them too. Only `mode="append"` is built; the others are declared for later.
    """

    name: str
    contract: type[Any]
    key: str
    contributor: str | None = None
    time: str | None = None
    media: str | None = None
    mode: Mode = "append"
    axes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "table")
        if self.mode != "append":
            raise UsageError(f"table {self.name}: mode {self.mode!r} is not built yet; only 'append' is")

    def checked(self) -> Contract:
        """The contract in the form that splits batches. Raises `UsageError` if it lacks a column named here."""
        from headwater.collect.contract import Contract

        contract = Contract(self.contract)
        named = [(role, getattr(self, role)) for role in ("key", "contributor", "time", "media")]
        for role, column in [*named, *(("axes", column) for column in self.axes)]:
            if column is not None and column not in contract.schema.names:
                raise UsageError(f"table {self.name}: {role}={column!r} is no column of {self.contract.__name__}: {contract.schema.names}")
        return contract
