"""Printing answers: JSON for programs; tables for people, with what outsiders wrote made harmless."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headwater.cli.options import Format
from headwater.core.names import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "facts", "parts", "printable", "printed", "progress_line", "rows"]


def printed(value: Any, output: Format) -> bool:
    """Print `value` as JSON if that was asked for; says whether it did."""
    if output is not Format.json:
        return False
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
    return True


def console() -> Console:
    """Where people read: no markup in data is ever interpreted."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)


def facts(values: Mapping[str, Any], title: str = "") -> None:
    """A list of names and values."""
    from rich.table import Table

    table = Table(show_header=False, box=None, title=title or None, title_justify="left", pad_edge=False)
    for name, value in values.items():
        table.add_row(_cell(name), _cell(value))
    console().print(table)


def rows(values: Iterable[Mapping[str, Any]], title: str = "") -> None:
    """A table with one line a value; says "none" when there are none."""
    from rich import box
    from rich.table import Table

    lines = list(values)
    if not lines:
        console().print(f"{title}: none" if title else "none")
        return
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for name in lines[0]:
        table.add_column(_cell(name), justify="right" if isinstance(lines[0][name], (int, float)) else "left")
    for line in lines:
        table.add_row(*(_cell(value) for value in line.values()))
    console().print(table)


def parts(answer: Mapping[str, Any]) -> None:
    """An answer of several parts: lists as tables, mappings as lists of facts, nested ones with dotted names."""
    for name, value in answer.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            rows(value, name)
        elif isinstance(value, Mapping):
            facts(_flat(value), name)
        else:
            facts({name: "; ".join(map(str, value)) or "none" if isinstance(value, list) else value})


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings with dotted names; an interval in one line."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and {"value", "low", "high"} <= set(value):
            flat[prefix + name] = f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
        elif isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def progress_line(stage: str, rows_done: int, seconds: float) -> None:
    """One line about long work, on standard error: rewritten on a terminal, plain in a log."""
    rate = f"{rows_done / seconds:,.0f} rows/s" if seconds > 0 and rows_done else ""
    text = f"{stage}: {rows_done:,} rows {rate}".rstrip()
    sys.stderr.write(f"\r\x1b[2K{text}" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return printable("" if value is None else str(value), 160)
