"""Proxy: a cable that can be pulled, between a client and a real server."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

__all__ = ["Proxy"]

_PIECE = 64 * 1024


class Proxy:
    """Listens on `port` and passes on what comes to another port of this machine, both ways; a context manager.

    `cut()` drops every connection and refuses new ones until `heal()`; `cut_after(n)` does so once `n` more bytes have
    come from the server.
    """

    def __init__(self, to: int) -> None:
        self.to = to
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._cut = False
        self._left: int | None = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """Pull the cable."""
        with self._lock:
            self._cut, self._left = True, None
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._open.clear()

    def cut_after(self, bytes_from_server: int) -> None:
        """Pull it in the middle of an answer."""
        with self._lock:
            self._left = bytes_from_server

    def heal(self) -> None:
        """Put it in again."""
        with self._lock:
            self._cut, self._left = False, None

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                if self._cut:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(_PIECE):
                if counted and self._is_spent(len(piece)):
                    self.cut()
                    return
                other.sendall(piece)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_spent(self, size: int) -> bool:
        with self._lock:
            if self._left is None:
                return False
            self._left -= size
            return self._left < 0
