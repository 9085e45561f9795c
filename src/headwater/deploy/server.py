"""Server: runs the application in this process until it is told to stop."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headwater.core.errors import UsageError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

__all__ = ["serve"]


def serve(
    app: FastAPI,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    announce: Callable[[str], object] | None = None,
    most_connections: int = 1000,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight (10 s at most), flush the spool and return.

    `announce` is told the address once the port is taken; by default it is one line on stdout. Port 0 takes a free one.
    Raises `UsageError` if the port is taken.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        limit_concurrency=most_connections,
        timeout_graceful_shutdown=10,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    with _listening(host, port) as listener, _stopped_quietly(server):
        name = f"[{host}]" if ":" in host else host
        (announce or _say)(f"http://{name}:{listener.getsockname()[1]}")
        server.run(sockets=[listener])


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only where it reads TCP here
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OverflowError:
            raise UsageError(f"{port} is no port: expected 0 to 65535, 0 for any free one") from None
        except OSError as error:
            raise UsageError(f"cannot listen on {host} port {port}: {error.strerror}. Choose another port") from error
        listener.listen(2048)
        yield listener


@contextmanager
def _stopped_quietly(server: uvicorn.Server) -> Iterator[None]:
    """A signal that comes before uvicorn listens for it stops the server too. uvicorn raises the one that stopped it once
    more when it is done; here that is no reason to die."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(address: str) -> None:
    sys.stdout.write(f"serving at {address}\n")
    sys.stdout.flush()
