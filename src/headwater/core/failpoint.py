"""Failpoints: named places where a test may kill the process, so that "killed anywhere" can be shown.

Off unless `HEADWATER_FAILPOINT=name` (or `name:n`, the n-th time it is passed) is set when the process starts.
"""

from __future__ import annotations

import os
import signal

__all__ = ["failpoint"]

_name, _, _nth = os.environ.get("HEADWATER_FAILPOINT", "").partition(":")
_left = int(_nth or "1") if _name else 0


def failpoint(name: str) -> None:
    """Die here by SIGKILL if this point was named."""
    global _left
    if name == _name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
