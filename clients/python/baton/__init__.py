"""Client and worker of Baton, the task orchestrator. See docs/clients.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._errors import Error, NotFound, Refused, Unreachable
from ._spec import array, handler, program, shell
from ._version import VERSION as __version__
from .client import GATEWAY_DEFAULT, Accepted, Client, Event, OutputEvent, ProgressEvent, StateEvent, Task

if TYPE_CHECKING:
    from .worker import Cancelled, Context, Worker, WorkerError

_WORKER = ("Cancelled", "Context", "Worker", "WorkerError")

__all__ = [
    "GATEWAY_DEFAULT",
    "Accepted",
    "Cancelled",
    "Client",
    "Context",
    "Error",
    "Event",
    "NotFound",
    "OutputEvent",
    "ProgressEvent",
    "Refused",
    "StateEvent",
    "Task",
    "Unreachable",
    "Worker",
    "WorkerError",
    "__version__",
    "array",
    "handler",
    "program",
    "shell",
]


def __getattr__(name: str) -> Any:
    # Whoever only submits tasks needs no gRPC.
    if name in _WORKER:
        from . import worker

        return getattr(worker, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
