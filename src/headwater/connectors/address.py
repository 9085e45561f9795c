"""Address: a url of a system, taken apart: who, where, what, and which options; never shown with its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from headwater.core.errors import UsageError
from headwater.core.names import did_you_mean, printable
from headwater.core.secret import Secret, redacted

__all__ = ["Address"]


@dataclass(frozen=True, kw_only=True)
class Address:
    """`scheme://user:password@host:port,host:port/path?option=value`. `shown` is safe to print, log and keep."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    options: Mapping[str, str]
    shown: str
    user: str | None = None
    password: Secret | None = field(default=None)

    @classmethod
    def of(cls, url: str, *, name: str, port: int, options: Mapping[str, str | tuple[str, ...]]) -> Address:
        """Take `url` of the source or sink `name` apart.

        `options` are those that the system knows, each with what it means, or the values it may have. Raises `UsageError`
        for a url without a host, another option, or another value; the message never holds the password.
        """
        shown = printable(redacted(url))
        try:
            parts = urlsplit(url)
            hosts = tuple(_host(one, port) for one in parts.netloc.rpartition("@")[2].split(",") if one)
        except ValueError:
            raise UsageError(f"{name}: {shown} is not a url. Expected {url.partition('://')[0]}://host:port/…") from None
        if not hosts:
            raise UsageError(f"{name}: {shown} names no host. Expected {parts.scheme}://host:{port}/…")
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        for option, value in given.items():
            if option not in options:
                raise UsageError(f"{name}: {parts.scheme}:// knows no option {printable(option)!r}. {did_you_mean(option, options)}")
            allowed = options[option]
            if isinstance(allowed, tuple) and value not in allowed:
                raise UsageError(f"{name}: {option}={printable(value)!r}: expected one of {', '.join(allowed)}")
        user, mark, password = parts.netloc.rpartition("@")[0].partition(":")
        return cls(
            scheme=parts.scheme,
            hosts=hosts,
            path=unquote(parts.path.lstrip("/")),
            options=given,
            shown=shown,
            user=unquote(user) or None,
            password=Secret(unquote(password)) if mark else None,
        )

    @property
    def host(self) -> str:
        """The first host."""
        return self.hosts[0][0]

    @property
    def port(self) -> int:
        """Its port."""
        return self.hosts[0][1]

    def whole(self, option: str, default: int) -> int:
        """An option as a whole number, at least 1. Raises `UsageError`."""
        value = self.options.get(option, str(default))
        if not value.isascii() or not value.isdigit() or int(value) < 1:
            raise UsageError(f"{self.shown}: {option}={printable(value)!r}: expected a whole number, at least 1")
        return int(value)


def _host(text: str, port: int) -> tuple[str, int]:
    if text.startswith("["):  # IPv6
        host, _, rest = text[1:].partition("]")
        return host, int(rest.removeprefix(":") or port)
    host, _, given = text.partition(":")
    return host, int(given or port)
