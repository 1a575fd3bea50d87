"""What passes between the session and the world: orders, reports, and what is to be done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Union

__all__ = [
    "AttemptId",
    "Disconnect",
    "Drain",
    "Effect",
    "End",
    "Execute",
    "Exited",
    "Forget",
    "Hello",
    "Kill",
    "Kind",
    "Known",
    "Offer",
    "Order",
    "OrderBatch",
    "Phase",
    "Progressed",
    "Recall",
    "Recalled",
    "Refused",
    "Remember",
    "Report",
    "Send",
    "Start",
    "Started",
    "Update",
    "Welcome",
]


class AttemptId(NamedTuple):
    """One execution of one task."""

    task_id: str
    number: int


# ---------------------------------------------------------------- what travels


@dataclass(frozen=True)
class Start:
    """An order to run an attempt. `timeout` in seconds; None: as long as it takes."""

    attempt: AttemptId
    name: str
    payload: bytes
    entry: str | None = None
    timeout: float | None = None
    traceparent: str = ""
    tracestate: str = ""


@dataclass(frozen=True)
class Welcome:
    session: int
    store_id: str
    protocol: int


@dataclass(frozen=True)
class Kill:
    attempt: AttemptId


@dataclass(frozen=True)
class Recall:
    attempt: AttemptId


@dataclass(frozen=True)
class Forget:
    number: int


@dataclass(frozen=True)
class Drain:
    pass


Order = Union[Welcome, Start, Kill, Recall, Forget, Drain]


@dataclass(frozen=True)
class OrderBatch:
    """One message of the scheduler's. `sequence` numbers its first order in the session, from 1."""

    shard: int
    epoch: int
    sequence: int
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True)
class Started:
    pass


@dataclass(frozen=True)
class Progressed:
    percent: int
    message: str


@dataclass(frozen=True)
class Exited:
    """How: the name of a field of the wire's `Exited.how`, and its value."""

    how: tuple[str, int | str | bool]
    result: bytes = b""
    run_us: int = 0
    tree_gone: bool = True


@dataclass(frozen=True)
class Refused:
    reason: str


@dataclass(frozen=True)
class Recalled:
    pass


Kind = Union[Started, Progressed, Exited, Refused, Recalled]


@dataclass(frozen=True)
class Report:
    """Numbered from 1 in each session; said again in the next one until it is acknowledged."""

    number: int
    attempt: AttemptId
    kind: Kind


@dataclass(frozen=True)
class Offer:
    """How many starts this session takes in all, since its welcome; `prefetch` of the open ones are beyond free slots."""

    starts: int = 0
    prefetch: int = 0


class Phase(Enum):
    """How far an attempt is; the value is its number on the wire."""

    QUEUED = 1
    RUNNING = 2
    ENDED = 3


@dataclass(frozen=True)
class Hello:
    """The first message of a session."""

    epoch: int
    held: tuple[tuple[AttemptId, Phase], ...]


@dataclass(frozen=True)
class Update:
    """Any other message; an empty one says "I am here"."""

    reports: tuple[Report, ...] = ()
    offer: Offer | None = None


@dataclass(frozen=True)
class Known:
    """The highest epoch seen, and of which store: an older epoch of the same store is refused."""

    store_id: str | None = None
    epoch: int = 0


# ---------------------------------------------------------------- what is to be done


@dataclass(frozen=True)
class Send:
    message: Hello | Update


@dataclass(frozen=True)
class Execute:
    """Start this attempt; answered by `started` and `exited`, or `refused`."""

    start: Start


@dataclass(frozen=True)
class End:
    """Ask this attempt to end; answered by `exited`. May be repeated."""

    attempt: AttemptId


@dataclass(frozen=True)
class Remember:
    """Remember this beyond this process, before anything that follows."""

    known: Known


@dataclass(frozen=True)
class Disconnect:
    """Close the stream, and connect again after a while."""

    reason: str


Effect = Union[Send, Execute, End, Remember, Disconnect]
