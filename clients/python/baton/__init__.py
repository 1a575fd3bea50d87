"""Client and worker of Baton, the task orchestrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import VERSION as __version__

if TYPE_CHECKING:
    from .worker import Cancelled, Context, Worker, WorkerError

_WORKER = ("Cancelled", "Context", "Worker", "WorkerError")

__all__ = ["Cancelled", "Context", "Worker", "WorkerError", "__version__"]


def __getattr__(name: str) -> Any:
    # Whoever only submits tasks needs no gRPC.
    if name in _WORKER:
        from . import worker

        return getattr(worker, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
