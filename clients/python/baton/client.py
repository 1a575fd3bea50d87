"""The client: one method a verb, and stories that go on by themselves after a broken connection.

    from baton import Client, shell

    client = Client()
    task_id = client.submit(shell("echo hello")).task_id
    for event in client.watch(task_id):
        print(event)

It speaks HTTP with the gateway and needs nothing but the standard library. A client may be used by several threads. It keeps
a connection for its next call; `close` ends that, or leaving a `with` block.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ._connections import Connections
from ._errors import Error, Refused, Unreachable, refusal
from ._events import Event, OutputEvent, ProgressEvent, StateEvent, parse, told
from ._spec import Spec

GATEWAY_DEFAULT = "http://127.0.0.1:8080"
"""Where a gateway answers HTTP if nothing else is said."""

FINAL = frozenset(["completed", "failed", "timeout", "cancelled"])
"""The statuses after which nothing follows."""

_CALL_WITHIN = 60.0
# Seconds without a byte after which a call has failed: a cancel is answered within 10.
_SILENCE = 45.0
# As for a stream: the server says something every 15 s.
_PAUSE_FIRST, _PAUSE_LAST = 0.1, 2.0
_PAGE = 1_000


@dataclass(frozen=True)
class Accepted:
    """A task that is on disk."""

    task_id: str
    created_at: str
    waiting_for: tuple[str, ...] = ()
    """Why it would wait right now, as `code: text`; empty if it would not."""


@dataclass(frozen=True)
class Task:
    """A task as it stands. Times are RFC 3339, UTC; empty if there is none yet."""

    task_id: str
    name: str
    status: str
    """pending, sent, in_progress, completed, failed, timeout or cancelled."""
    state: str
    """The finer word: delayed, queued, backing_off, dispatched, running, cancelling, completed, failed, timed_out, cancelled."""
    worker_id: str
    """The worker of the latest attempt; before the first the one that was asked for, or empty."""
    attempt: int
    """The number of the latest attempt; 0 before the first."""
    progress: int
    """Percent."""
    message: str
    """What it said last or, once it has ended, why it ended so."""
    exit_code: int | None
    """Once it has ended: the code; 128+n for signal n; -1 if it never started or timed out."""
    result: bytes
    """Final bytes of a handler."""
    created_at: str
    finished_at: str
    raw: dict[str, Any] = field(repr=False, compare=False)
    """All that the gateway says of it."""

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self.status in FINAL


class Client:
    """A gateway. Nothing is sent yet.

    token     sent with each call as `Authorization: Bearer`.
    ca        file with the CA (PEM) that a gateway at https:// must have its certificate from; by default those that
              this machine trusts.
    patience  seconds that streams look for a gateway that went away.

    All methods raise Unreachable (nobody answers), NotFound, or Refused.
    """

    def __init__(
        self,
        url: str = GATEWAY_DEFAULT,
        *,
        token: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        patience: float = 300.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url: {url} is not a URL such as {GATEWAY_DEFAULT}")
        self.url = url.rstrip("/")
        self._patience = patience
        self._parts = parts
        self._connections = Connections(parts, ca)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def close(self) -> None:
        """Closes what is kept for further calls, which may come all the same. Streams go on."""
        self._connections.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Of one that could not be made there is nothing.
        if hasattr(self, "_connections"):
            self.close()

    # ------------------------------------------------------------ the verbs

    def submit(self, spec: Spec) -> Accepted:
        """Submits a task. When it returns, the task is on disk."""
        return _accepted(self._json("POST", "/tasks", spec))

    def submit_many(self, specs: Sequence[Spec]) -> list[Accepted]:
        """Submits up to 10,000 tasks (4 MiB) in one durable commit, all or none. The answers are in the tasks' order."""
        return [_accepted(task) for task in self._json("POST", "/tasks/batch", {"tasks": list(specs)})["tasks"]]

    def get(self, task_id: str) -> Task:
        """One task as it stands."""
        return _task(self._json("GET", _path(task_id)))

    def list(self, **which: str) -> Iterator[Task]:
        """Tasks, newest first, a page at a time: `status` (words with commas between them), `agent_id`, `name`, `queue`, or
        `array` (its members)."""
        cursor: str | None = ""
        while cursor is not None:
            query = {"limit": str(_PAGE), **which, **({"cursor": cursor} if cursor else {})}
            page = self._json("GET", f"/tasks?{urlencode(query)}")
            yield from map(_task, page["tasks"])
            cursor = page.get("next_cursor")

    def cancel(self, task_id: str) -> bool:
        """Cancels a task, and waits until its processes are gone: False if that takes more than 10 s."""
        return bool(self._json("DELETE", _path(task_id))["message"] != "cancelling")

    def retry(self, task_id: str) -> Accepted:
        """Runs a task that has ended again, as a new one; of an array, what failed or timed out."""
        return _accepted(self._json("POST", f"{_path(task_id)}/retry"))

    def explain(self, task_id: str) -> dict[str, Any]:
        """Why a task isn't running."""
        answer: dict[str, Any] = self._json("GET", f"{_path(task_id)}/explain")
        return answer

    def workers(self) -> Sequence[dict[str, Any]]:
        """The workers known to the scheduler."""
        workers: Sequence[dict[str, Any]] = self._json("GET", "/workers")["workers"]
        return workers

    def watch(self, task_id: str, after: str = "") -> Iterator[Event]:
        """The story of a task: its states, progress and output, until its end. `after`: behind the event with this id. It
        survives the gateway's restarts without loss or repetition."""
        lost, pause = time.monotonic(), _PAUSE_FIRST
        while True:
            opened = False
            try:
                answer = self._open(f"{_path(task_id)}/events", after)
                opened = True
                if answer.status == 204:
                    return
                with answer:
                    for event in told(parse(answer)):
                        after = event.id
                        yield event
                        if isinstance(event, StateEvent) and event.final:
                            return
            except (OSError, HTTPException, Refused, Unreachable) as error:
                if isinstance(error, Refused) and not error.passes:
                    raise
                if not opened and time.monotonic() - lost > self._patience:
                    raise self._lost(error) from error
            if opened:
                lost, pause = time.monotonic(), _PAUSE_FIRST
            time.sleep(pause)
            pause = min(pause * 2, _PAUSE_LAST)

    def wait(self, task_id: str) -> Task:
        """Waits for a task's end and gives the task."""
        for _ in self.watch(task_id):
            pass
        return self.get(task_id)

    def output(self, task_id: str, stream: str = "stdout", offset: int = 0, follow: bool = False) -> bytes:
        """The bytes that a task has written to `stdout` or `stderr` so far; with `follow`, up to its end."""
        query = urlencode({"stream": stream, "offset": offset, "follow": str(follow).lower()})
        return self._call("GET", f"{_path(task_id)}/output?{query}")

    # ------------------------------------------------------------ calls

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self._call(method, path, body))

    def _call(self, method: str, path: str, body: Any = None) -> bytes:
        connection, used = self._connections.take(_CALL_WITHIN)
        try:
            answer = self._send(connection, method, path, body)
            data = answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            # It was closed when nothing was asked on it; what only looks may be asked again.
            if used and method == "GET" and not isinstance(error, TimeoutError):
                return self._call(method, path, body)
            raise self._lost(error) from error
        except BaseException:
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            self._connections.keep(connection)
        if answer.status >= 400:
            raise refusal(answer.status, data)
        return data

    def _open(self, path: str, after: str) -> HTTPResponse:
        """A stream, of which only the head is read, on a connection of its own; raises Refused if it is none."""
        connection = self._connections.new(_SILENCE)
        # It closes with its answer.
        headers = {"Connection": "close", **({"Last-Event-ID": after} if after else {})}
        try:
            answer = self._send(connection, "GET", path, None, headers)
        except BaseException:
            connection.close()
            raise
        if answer.status >= 400:
            with answer:
                raise refusal(answer.status, answer.read())
        return answer

    def _send(
        self, connection: HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        headers = {**self._headers, **(headers or {})}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        connection.request(method, self._parts.path.rstrip("/") + path, data, headers)
        return connection.getresponse()

    def _lost(self, error: Exception) -> Error:
        if isinstance(error, Error):
            return error
        if isinstance(error, (ConnectionRefusedError, socket.gaierror)):
            return Unreachable(f"no gateway at {self.url}")
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unreachable(f"no gateway at {self.url}: its certificate is not good: {error.verify_message}")
        return Unreachable(f"the connection to the gateway at {self.url} broke: {error}; the outcome is unknown")


def _path(task_id: str) -> str:
    if not task_id:
        raise ValueError("task_id: must not be empty")
    return f"/tasks/{quote(task_id, safe='')}"


def _accepted(answer: dict[str, Any]) -> Accepted:
    reasons = tuple(f"{reason['code']}: {reason['text']}" for reason in answer.get("waiting_for", ()))
    return Accepted(answer["task_id"], answer["created_at"], reasons)


def _task(raw: dict[str, Any]) -> Task:
    if "result_base64" in raw:
        result = base64.b64decode(raw["result_base64"])
    else:
        result = raw.get("result", "").encode()
    return Task(
        task_id=raw["task_id"],
        name=raw["name"],
        status=raw["status"],
        state=raw["state"],
        worker_id=raw["agent_id"],
        attempt=raw["attempt"],
        progress=raw["progress"],
        message=raw["message"],
        exit_code=raw.get("exit_code"),
        result=result,
        created_at=raw["created_at"],
        finished_at=raw.get("finished_at", ""),
        raw=raw,
    )


__all__ = [
    "Accepted",
    "Client",
    "Event",
    "FINAL",
    "GATEWAY_DEFAULT",
    "OutputEvent",
    "ProgressEvent",
    "StateEvent",
    "Task",
]
