"""Secret: a string that never prints itself, and addresses without theirs."""

from __future__ import annotations

import re
from typing import NoReturn

__all__ = ["Secret", "redacted"]

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"(?i)([?&;](?:password|passwd|pwd|token|key|secret|sig|signature|api_key|apikey|access_key|sas)=)[^&#\s]*")


class Secret:
    """A string that shows as `***` everywhere but in `reveal()`; it can be neither pickled nor formatted."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The string itself. The only way to it."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.__value

    def __hash__(self) -> int:
        return hash(self.__value)


def redacted(url: str) -> str:
    """`url` without user, password, token or signature: safe to show and to keep."""
    return _QUERY.sub(r"\1***", _USERINFO.sub("***@", url))
