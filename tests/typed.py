"""A command as a user types it, in this process: quicker than one of its own, and a traceback still fails the test."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from headwater.cli.main import main

__all__ = ["Typed", "typed"]


@dataclass(frozen=True)
class Typed:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def said(self) -> str:
        """The one line that a mistake is told in."""
        line, *more = self.err.splitlines()
        assert not more, self.err
        assert line.startswith("headwater: ")
        assert self.out == ""
        return line


def typed(*words: str | Path) -> Typed:
    """Run `headwater WORDS…`. What is not told to the user as his mistake is raised here."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with patch.object(sys, "argv", ["headwater", *(str(word) for word in words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return Typed(code, out.getvalue(), err.getvalue())
