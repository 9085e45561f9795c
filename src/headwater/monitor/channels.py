"""The two ways out of an alert: an HTTP POST and a command. Each returns why it failed, or nothing; neither raises."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from headwater.core.names import printable
from headwater.core.secret import Secret

__all__ = ["call", "post"]

_AGAIN = {408, 425, 429}


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: the message goes where the profile says or nowhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def post(url: Secret, body: bytes, *, timeout: float, attempts: int, wait: Callable[[float], None]) -> str:
    """POST JSON; 2xx is delivered. Server errors, 408, 425, 429 and a dead line are tried again, up to `attempts` times.

    Waits ½, 1, 2 … at most 8 seconds between; `timeout` is for each wait on the network. Returns why it failed, without
    the address, or "".
    """
    why = "not tried"
    for attempt in range(attempts):
        if attempt:
            wait(min(0.5 * 2 ** (attempt - 1), 8.0))
        why, again = _post_once(url, body, timeout)
        if not again:
            return why
    return f"{why} ({attempts} attempts)"


def _post_once(url: Secret, body: bytes, timeout: float) -> tuple[str, bool]:
    request = urllib.request.Request(url.reveal(), data=body, method="POST", headers={"Content-Type": "application/json"})  # noqa: S310 - http(s) was checked
    opener = urllib.request.build_opener(_Stay)
    try:
        with opener.open(request, timeout=timeout) as answer:
            return ("", False) if 200 <= answer.status < 300 else (f"answered {answer.status}", False)
    except urllib.error.HTTPError as error:
        error.close()
        return f"answered {error.code}", error.code >= 500 or error.code in _AGAIN
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"could not be reached: {type(reason).__name__}", not isinstance(error, ValueError)


def call(command: Sequence[str], body: bytes, *, timeout: float) -> str:
    """Start a program (no shell) with JSON on stdin; exit code 0 is delivered. It and its children are killed after `timeout` seconds.

    Returns why it failed, or "".
    """
    try:
        child = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        return f"{printable(command[0])} could not be started: {type(error).__name__}"
    with child:
        try:
            _, said = child.communicate(body, timeout=timeout)
        except subprocess.TimeoutExpired:
            _end(child)
            return f"{printable(command[0])} took longer than {timeout:g} s and was stopped"
        except BaseException:
            _end(child)
            raise
    if child.returncode:
        return printable(f"{command[0]} ended with {child.returncode}: {said[-200:].decode('utf-8', 'replace').strip()}", 300)
    return ""


def _end(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
