"""The stream to the scheduler, opened again whenever it breaks. Must never interpret what it carries."""

from __future__ import annotations

import queue
import random
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Union
from urllib.parse import urlsplit

import grpc

from ._contract import MESSAGE_BYTES, REGISTER_WORKER, TaskAssignment, WorkerResponse

_BACKOFF_FIRST, _BACKOFF_LONGEST = 0.1, 1.0
# Seconds between two tries: a scheduler that is back has its workers back within a second.
_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Each stream has a connection of its own, and this package paces the tries.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]


@dataclass(frozen=True)
class Up:
    """The stream is being opened: what is sent now is its beginning."""

    send: Callable[[Any], None]
    cut: Callable[[], None]


@dataclass(frozen=True)
class Message:
    message: Any


@dataclass(frozen=True)
class Down:
    """It ended or could not be opened: why. It is opened again after a while."""

    why: str


Event = Union[Up, Message, Down]


@dataclass(frozen=True)
class Target:
    """Where the scheduler is, and what is shown of oneself there."""

    address: str
    credentials: Any = None

    def channel(self) -> grpc.Channel:
        if self.credentials is None:
            return grpc.insecure_channel(self.address, options=_OPTIONS)
        return grpc.secure_channel(self.address, self.credentials, options=_OPTIONS)


def target(url: str, ca: Path | None = None, cert: Path | None = None, key: Path | None = None) -> Target:
    """The address in `http://HOST:PORT` or `https://HOST:PORT`. Raises ValueError if it isn't one, OSError if a file can't be
    read."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"scheduler: {url} is not a URL such as http://127.0.0.1:50052")
    if (cert is None) != (key is None):
        raise ValueError("cert and key: one needs the other")
    if parts.scheme == "http":
        return Target(parts.netloc if parts.port else f"{parts.netloc}:80")
    ca_bytes, cert_bytes, key_bytes = (path.read_bytes() if path else None for path in (ca, cert, key))
    credentials = grpc.ssl_channel_credentials(ca_bytes, key_bytes, cert_bytes)
    return Target(parts.netloc if parts.port else f"{parts.netloc}:443", credentials)


class Stream(threading.Thread):
    """Keeps the stream open, telling `events`, until it is closed. `events` may block: HTTP/2 then holds the scheduler
    back."""

    def __init__(self, address: Target, events: Callable[[Event], None], token: str | None = None) -> None:
        super().__init__(name="baton-stream", daemon=True)
        self._address = address
        self._events = events
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        self._closed = threading.Event()
        self._call: Any = None

    def run(self) -> None:
        backoff = _BACKOFF_FIRST
        while not self._closed.is_set():
            answered, why = self._once()
            self._events(Down(why))
            # A stream that carried something was no failure: the next one is tried soon.
            backoff = _BACKOFF_FIRST if answered else min(backoff * 2, _BACKOFF_LONGEST)
            self._closed.wait(backoff * random.uniform(0.5, 1.0))

    def _once(self) -> tuple[bool, str]:
        # Bounded by the session: reports once each, and a heartbeat now and then.
        outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        answered = False
        with self._address.channel() as channel:
            register = channel.stream_stream(
                REGISTER_WORKER,
                request_serializer=WorkerResponse.SerializeToString,
                response_deserializer=TaskAssignment.FromString,
            )
            call = self._call = register(iter(outbox.get, None), metadata=self._metadata)
            if self._closed.is_set():
                call.cancel()
            self._events(Up(outbox.put, call.cancel))
            try:
                for message in call:
                    answered = True
                    self._events(Message(message))
                return answered, "the scheduler ended the stream"
            except grpc.RpcError as error:
                return answered, error.details() or error.code().name
            finally:
                outbox.put(None)

    def close(self) -> None:
        """Ends it for good."""
        self._closed.set()
        if self._call is not None:
            self._call.cancel()
