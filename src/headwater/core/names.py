"""Names and paths: what may be called what, what may be shown where, and what stays inside its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from headwater.core.errors import UsageError

__all__ = ["check_name", "contained", "did_you_mean", "printable"]

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def check_name(name: str, what: str = "name") -> str:
    """Return `name` if it is one for a table, model or source, else raise `UsageError`."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UsageError(
            f"{what} {printable(str(name))!r} is not a name: expected a lower-case letter, then up to 62 letters, digits, '_' or '-'"
        )
    return name


def contained(path: Path, root: Path) -> Path:
    """Return `path` resolved, if it lies in `root` once every link is followed, else raise `UsageError`."""
    real, home = path.resolve(), root.resolve()
    if real != home and home not in real.parents:
        raise UsageError(f"{printable(str(path))} leads out of {printable(str(root))}: links out of a source's folder are not followed")
    return real


def printable(text: str, limit: int = 200) -> str:
    """What an outsider wrote, safe on a terminal or in a log: control characters shown as escapes, length bounded."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii") for c in cut)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a message: the nearest known name, else all of them."""
    options = sorted(known)
    near = get_close_matches(name, options, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(options) or 'none'}."
