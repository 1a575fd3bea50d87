"""Connections to a gateway: a call leaves its own behind for the next one.

Must never send a call again that may have been done.
"""

from __future__ import annotations

import os
import select
import ssl
import threading
import time
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import SplitResult

_KEPT = 4
# Connections that wait for a call, at most: threads that call at the same time have one each, and further ones close theirs.
_IDLE = 10.0
# Seconds after which one isn't used again: a gateway closes what has said nothing for 20.


class Connections:
    """May be used by several threads."""

    def __init__(self, parts: SplitResult, ca: str | os.PathLike[str] | None = None) -> None:
        self._parts = parts
        self._tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
        self._kept: list[tuple[HTTPConnection, float]] = []
        self._lock = threading.Lock()
        self._process = os.getpid()

    def new(self, within: float) -> HTTPConnection:
        """One of its own, which fails after so many seconds without a byte."""
        host, port = self._parts.hostname or "", self._parts.port
        if self._tls is None:
            return HTTPConnection(host, port, timeout=within)
        return HTTPSConnection(host, port, timeout=within, context=self._tls)

    def take(self, within: float) -> tuple[HTTPConnection, bool]:
        """One for a call, and whether it has served others before."""
        while True:
            with self._lock:
                if self._process != os.getpid():
                    # A fork's connections are its parent's.
                    self._kept, self._process = [], os.getpid()
                if not self._kept:
                    break
                connection, since = self._kept.pop()
            if time.monotonic() - since < _IDLE and _is_quiet(connection):
                return connection, True
            connection.close()
        return self.new(within), False

    def keep(self, connection: HTTPConnection) -> None:
        """It may serve another call."""
        with self._lock:
            if len(self._kept) < _KEPT and self._process == os.getpid():
                self._kept.append((connection, time.monotonic()))
                return
        connection.close()

    def close(self) -> None:
        """Closes those that wait."""
        with self._lock:
            kept, self._kept = self._kept, []
        for connection, _ in kept:
            connection.close()


def _is_quiet(connection: HTTPConnection) -> bool:
    """Whether it is open: of one that nobody was asked on anything to be read is its end."""
    if connection.sock is None:
        return False
    poll = select.poll() if hasattr(select, "poll") else None
    if poll is None:
        return not select.select([connection.sock], [], [], 0)[0]
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)
