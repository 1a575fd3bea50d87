"""Server-sent events, and the story that they tell."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Optional, Union

from ._errors import Refused


@dataclass(frozen=True)
class _Told:
    id: str
    """For `Client.watch(task_id, after=id)`."""
    sequence: int
    """Position in the story, from 1."""
    at: str
    """RFC 3339, UTC."""
    attempt: int
    """From 1; 0 before the first."""


@dataclass(frozen=True)
class StateEvent(_Told):
    """The task changed its state."""

    status: str
    state: str
    message: str
    worker_id: str
    final: bool
    """Nothing follows."""
    exit_code: Optional[int] = None


@dataclass(frozen=True)
class ProgressEvent(_Told):
    """The task said how far it is."""

    percent: int
    message: str


@dataclass(frozen=True)
class OutputEvent(_Told):
    """The task wrote something."""

    stream: str
    """stdout or stderr."""
    offset: int
    """Position of the first byte in its stream of this attempt."""
    data: bytes
    dropped: int
    """Bytes that a limit cut here."""


Event = Union[StateEvent, ProgressEvent, OutputEvent]


def parse(lines: Iterable[bytes]) -> Iterator[tuple[str, str, str]]:
    """Events as (id, name, data), of lines as they come. The gateway ends lines with LF and sends one data line an event,
    or several."""
    last, name = "", ""
    data: list[str] = []
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if not line:
            if data:
                yield last, name or "message", "\n".join(data)
            name, data = "", []
            continue
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "data":
            data.append(value)
        elif key == "event":
            name = value
        elif key == "id" and "\0" not in value:
            last = value


def told(events: Iterable[tuple[str, str, str]]) -> Iterator[Event]:
    """The story's events. Those of a kind that this client does not know are passed over."""
    for id_, name, data in events:
        said: dict[str, Any] = json.loads(data)
        if name == "problem":
            raise Refused(said["error"], 503, said.get("details", ""))
        where = (id_, said["sequence"], said["at"], said["attempt"]) if "sequence" in said else None
        if where is None:
            continue
        if name == "state":
            yield StateEvent(
                *where,
                status=said["status"],
                state=said["state"],
                message=said["message"],
                worker_id=said["agent_id"],
                final=said["final"],
                exit_code=said.get("exit_code"),
            )
        elif name == "progress":
            yield ProgressEvent(*where, percent=said["percent"], message=said["message"])
        elif name == "output":
            encoded = said.get("data_base64")
            written = said.get("data", "").encode() if encoded is None else base64.b64decode(encoded)
            yield OutputEvent(
                *where, stream=said["stream"], offset=said["offset"], data=written, dropped=said["dropped"]
            )
