"""The one error tree, sorted by what the caller should do.

HeadwaterError
├── UsageError          fix the call: a wrong name, option or configuration
│   └── MissingExtra    install what the message says (also an ImportError)
├── DataError           the data is not what was promised
├── Refused             a gate or a check said no; carries the verdict
├── Retryable           try again later: away, throttled, locked
└── Broken              stop: the ledger, the lake or a model cannot be trusted
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.core.gate import Verdict

__all__ = ["Broken", "DataError", "HeadwaterError", "MissingExtra", "Refused", "Retryable", "UsageError"]


class HeadwaterError(Exception):
    """Anything Headwater raises on purpose. The message says what happened, what was expected and what to type.

    `exit_code` is what the command line ends with: 1 failed, 2 the command is wrong, 3 refused.
    """

    exit_code = 1


class UsageError(HeadwaterError):
    """The call is wrong and the caller can mend it."""

    exit_code = 2


class MissingExtra(UsageError, ImportError):
    """An optional dependency is not installed; the message holds the exact `pip install`."""


class DataError(HeadwaterError):
    """The data is not what was promised: schema, digest, a file changed behind our back."""


class Refused(HeadwaterError):
    """A gate or a check said no. `verdict` says why."""

    exit_code = 3

    def __init__(self, message: str, verdict: Verdict | None = None) -> None:
        super().__init__(message)
        self.verdict = verdict


class Retryable(HeadwaterError):
    """Nothing is wrong with the call or the data; the same call may succeed later."""


class Broken(HeadwaterError):
    """Stop: what should be unchangeable has changed."""
