"""An attempt's place in a trace (W3C Trace Context), as workers in any language tell it."""

from __future__ import annotations

import uuid

from ._messages import AttemptId

_U64 = (1 << 64) - 1


def place(attempt: AttemptId, traceparent: str) -> str:
    """What the caller said; if nobody said one, a place in a trace that is called like the task, marked as not recorded."""
    if traceparent:
        return traceparent
    task, _, index = attempt.task_id.partition(".")
    trace = uuid.UUID(task).int
    member = int(index) + 1 if index else 0
    # Any number that differs from attempt to attempt and isn't 0.
    span = ((trace & _U64) + (attempt.number << 1) + (member << 32)) & _U64 | 1
    return f"00-{trace:032x}-{span:016x}-00"
