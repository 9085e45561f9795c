"""Optional packages: imported where they are used, or named with the extra that brings them."""

from __future__ import annotations

import importlib
from types import ModuleType

from headwater.core.errors import MissingExtra

__all__ = ["need"]


def need(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or raise `MissingExtra` with what to type."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"{module} is not installed. Type: pip install 'headwater[{extra}]'") from error
