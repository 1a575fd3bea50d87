"""One attempt: a handler's call, and what it knows of it."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Optional, Union

_MESSAGE_CHARS = 500
_ERROR_CHARS = 4_000

Result = Union[bytes, str, None]
Handler = Callable[["Context", bytes], Union[Result, Awaitable[Result]]]


class Cancelled(Exception):
    """The attempt was cancelled or is out of time, and its handler should end."""


class Context:
    """What a handler knows of the attempt that it runs. Its methods may be called from any thread."""

    def __init__(
        self,
        task_id: str,
        attempt: int,
        entry: Optional[str] = None,
        due: Optional[float] = None,
        progressed: Callable[["Context", int, str], None] = lambda *_: None,
        traceparent: str = "",
        tracestate: str = "",
    ) -> None:
        self.task_id = task_id
        """The task; of an array's member `ARRAY.INDEX`."""
        self.attempt = attempt
        """Which attempt of it, from 1."""
        self.entry = entry
        """The entry of an array's member; None if the array has none."""
        self.traceparent = traceparent
        """The attempt's place in a trace (W3C): for the calls that it makes, and as TRACEPARENT for processes that it starts."""
        self.tracestate = tracestate
        """What goes with it; empty if whoever asked for the task said none."""
        self._due = due
        self._progressed = progressed
        self._ended = threading.Event()
        self._hook: Optional[Callable[[], None]] = None
        self._lock = threading.Lock()

    def progress(self, percent: int, message: str = "") -> None:
        """Says how far the attempt is: 0 to 100 percent, and a message that is cut to 500 characters."""
        self._progressed(self, min(max(int(percent), 0), 100), _text(message, _MESSAGE_CHARS))

    @property
    def cancelled(self) -> bool:
        """Whether the attempt should end: it was cancelled, is out of time, or its worker stops. A handler that doesn't
        within the worker's grace is reported as ended all the same, and keeps its slot until it is."""
        return self._ended.is_set()

    def check(self) -> None:
        """Raises Cancelled if the attempt should end."""
        if self.cancelled:
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Sleeps, unless the attempt should end: then Cancelled is raised at once."""
        if self._ended.wait(seconds):
            raise Cancelled

    @property
    def remaining(self) -> Optional[float]:
        """Seconds until it is out of time, 0.0 if it is; None: no limit."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def _cancel(self) -> None:
        with self._lock:
            self._ended.set()
            if self._hook is not None:
                self._hook()

    def _on_cancel(self, hook: Callable[[], None]) -> None:
        with self._lock:
            self._hook = hook
            if self.cancelled:
                hook()


@dataclass(frozen=True)
class Outcome:
    """How a handler ended: with a result, or an error for people."""

    context: Context
    result: bytes = b""
    error: Optional[str] = None


def run(handler: Handler, context: Context, payload: bytes) -> Outcome:
    """Calls a handler and waits for its end, whatever it does."""
    try:
        result: Any = handler(context, payload)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(context, result))
        if result is None:
            result = b""
        elif isinstance(result, str):
            result = result.encode()
        elif isinstance(result, (bytearray, memoryview)):
            result = bytes(result)
        elif not isinstance(result, bytes):
            return Outcome(context, error=f"the handler returned {type(result).__name__}, not bytes")
        return Outcome(context, result)
    except (Cancelled, asyncio.CancelledError):
        return Outcome(context, error="cancelled")
    except BaseException as error:  # A handler that exits must not take the worker along.
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Outcome(context, error=_text(text, _ERROR_CHARS))


def _text(text: str, chars: int) -> str:
    """What can travel: halves of characters, as in names of files that are no text, can't."""
    return text[:chars].encode(errors="replace").decode()


async def _awaited(context: Context, result: Awaitable[Result]) -> Result:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(result)

    def cancel() -> None:
        try:
            loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:
            # It is over, and its loop closed.
            pass

    context._on_cancel(cancel)
    return await task
