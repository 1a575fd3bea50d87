"""A worker: runs handler tasks with functions of this program.

    from baton import Context, Worker

    worker = Worker("http://127.0.0.1:50052")

    @worker.handler("reverse")
    def reverse(context: Context, payload: bytes) -> bytes:
        context.progress(50, "half way")
        return payload[::-1]

    worker.run()

Needs grpcio and protobuf (`pip install 'baton[worker]'`).

A handler ends with its process: what a killed worker ran is lost and starts anew elsewhere, as another attempt. What
must outlive its worker is a command (`baton worker --handler NAME=COMMAND`).
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping

from . import _contract, _session, _transport
from ._data_dir import DataDir, DataDirError, since_boot_ns
from ._run import Cancelled, Context, Handler, Outcome, run
from ._trace import place
from ._version import VERSION

__all__ = ["Cancelled", "Context", "Worker", "WorkerError"]

_TICK = 0.25
# Seconds between two looks at the clock, at most: heartbeats and silence are counted in seconds.
_BURST = 1_024
# Events that are handled before anything is carried out, at most.
_EVENTS = 1_024
# Events on their way to the loop. When full, handlers that end and the stream wait; progress is dropped.
_RESULT_BYTES = 1024 * 1024
_NAME_CHARS = 200
_SLOTS_MAX = 10_000

_log = logging.getLogger("baton")


class WorkerError(Exception):
    """The worker can't start or go on: why."""


@dataclass
class _Running:
    """An attempt in a thread of its own."""

    context: Context
    began: float
    # When it is out of time; None: never.
    due: float | None
    timeout_ms: int = 0
    # Set once it was asked to end: what is reported if it doesn't by `end_by`.
    verdict: tuple[str, int | str | bool] | None = None
    end_by: float | None = None
    # It was reported as ended and runs on.
    abandoned: bool = False


@dataclass
class _Link:
    """The open stream."""

    send: Callable[[Any], None] | None = None
    cut: Callable[[], None] | None = None

    def clear(self) -> None:
        self.send = self.cut = None


@dataclass(eq=False)
class Worker:
    """Runs handler tasks. `handler` adds functions, then `run` works until it is told to stop.

    scheduler   its address, `http://HOST:PORT`, or `https://HOST:PORT` if it has a certificate.
    ca          file with the CA (PEM) that the scheduler's certificate must be from; by default those that grpcio trusts.
    cert, key   files (PEM) with this worker's own certificate and its key, which it shows to the scheduler.
    id          the worker's name, unique among those connected, 1 to 200 characters; by default `HOST-python`.
    slots       how many handlers run at once, 1 to 10,000; by default the number of cores. Each has a thread.
    labels      what tasks may ask for.
    data_dir    what outlives this process; held by one worker at a time; by default `./.baton/python/ID`.
    kill_grace  seconds that a handler may still take once it was asked to end.
    stop_within seconds that stopping may take.
    token       for a scheduler that asks for one, with the scope `worker`. Read it from a file.
    """

    scheduler: str = "http://127.0.0.1:50052"
    id: str | None = None
    slots: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    data_dir: str | os.PathLike[str] | None = None
    kill_grace: float = 5.0
    stop_within: float = 10.0
    ca: str | os.PathLike[str] | None = None
    cert: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        ca, cert, key = (Path(path) if path else None for path in (self.ca, self.cert, self.key))
        self._target = _transport.target(self.scheduler, ca, cert, key)
        self._name = self.id or f"{socket.gethostname()}-python"
        self._slots = self.slots or os.cpu_count() or 1
        if not 1 <= self._slots <= _SLOTS_MAX:
            raise ValueError(f"slots: must be 1 to {_SLOTS_MAX}")
        self._events: queue.Queue[Any] = queue.Queue(_EVENTS)
        self._running: dict[_session.AttemptId, _Running] = {}
        self._link = _Link()
        self._stops = 0
        self._leave_by: float | None = None
        self._opened = 0
        self._trouble = ""

    # ------------------------------------------------------------ for users

    def handler(self, name: str) -> Callable[[Handler], Handler]:
        """Makes a function the handler of this name: called as `function(context, payload)`, it returns the result's bytes
        (or text, or None), at most 1 MiB; what it raises fails the attempt. It may be `async`: each attempt then has an event
        loop of its own, in which a cancel is a cancel of the task."""
        if not 1 <= len(name) <= _NAME_CHARS:
            raise ValueError(f"name: must be 1 to {_NAME_CHARS} characters")

        def add(function: Handler) -> Handler:
            self._handlers[name] = function
            return function

        return add

    def run(self) -> None:
        """Works until `stop`, SIGINT or SIGTERM. Then nothing new is taken, handlers are asked to end, and what they don't
        complete is put back; a second signal ends at once. Called from another thread than the main one, it leaves signals
        alone.

        Raises WorkerError if it can't start; that there is no scheduler yet is no reason: it is waited for.
        """
        if not self._handlers:
            raise WorkerError("a worker without a handler has nothing to do; add one with @worker.handler(NAME)")
        directory = Path(self.data_dir) if self.data_dir else Path(".baton/python") / self._name.replace("/", "_")
        try:
            self._dir = DataDir(directory)
        except DataDirError as error:
            raise WorkerError(str(error)) from None
        self._session = _session.Session(self._slots, self._dir.known())
        self._identity = {
            "worker_id": self._name,
            "incarnation": self._dir.incarnation(),
            "labels": dict(self.labels),
            "handlers": sorted(self._handlers),
            "slots": self._slots,
            "version": f"{VERSION} (python)",
        }
        stream = _transport.Stream(self._target, self._events.put, self.token)
        previous = self._take_signals()
        stream.start()
        try:
            self._loop()
        finally:
            for number, action in previous.items():
                signal.signal(number, action)
            stream.close()
            self._dir.save(last=True)
            self._dir.close()

    def stop(self) -> None:
        """Asks `run` to return; a second call hurries it. May be called from any thread, and from a signal's handler."""
        self._stops += 1

    def _take_signals(self) -> dict[signal.Signals, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        both = (signal.SIGINT, signal.SIGTERM)
        return {number: signal.signal(number, lambda *_: self.stop()) for number in both}

    # ------------------------------------------------------------ the loop

    def _loop(self) -> None:
        while not self._may_leave():
            try:
                event = self._events.get(timeout=self._wait())
            except queue.Empty:
                event = None
            for _ in range(_BURST):
                if event is not None:
                    self._take(event)
                try:
                    event = self._events.get_nowait()
                except queue.Empty:
                    break
            else:
                self._take(event)
            now = time.monotonic()
            self._look_at_clock(now)
            self._session.tick(now)
            self._dir.save()
            for effect in self._session.drain(now):
                self._carry_out(effect)

    def _wait(self) -> float:
        now = time.monotonic()
        moments = (m for r in self._running.values() for m in (r.due, r.end_by) if m is not None)
        return min(_TICK, max(0.0, min(moments, default=now + _TICK) - now))

    def _take(self, event: Any) -> None:
        if isinstance(event, _transport.Up):
            self._link.send, self._link.cut = event.send, event.cut
            self._session.connected(time.monotonic())
        elif isinstance(event, _transport.Message):
            self._orders(event.message)
        elif isinstance(event, _transport.Down):
            # Who ended it himself has said why.
            if self._link.send is not None:
                self._out_of_contact(event.why)
            self._link.clear()
            self._session.disconnected()
        elif isinstance(event, Outcome):
            self._over(event)
        else:
            attempt, percent, message = event
            self._session.progressed(time.monotonic(), attempt, percent, message)

    def _orders(self, message: Any) -> None:
        # What was on its way when the stream was given up.
        if self._link.send is None:
            return
        was_open = self._session.is_open
        try:
            batch = _contract.order_batch(message)
        except _contract.NotUnderstood as error:
            return self._give_up(str(error))
        stores = [order.store_id for order in batch.orders if isinstance(order, _session.Welcome)]
        self._dir.heard(stores[0] if stores else None, message.commit, message.epoch, message.seal)
        self._session.orders(time.monotonic(), batch)
        if not was_open and self._session.is_open:
            self._trouble = ""
            _log.info("Scheduler reached at %s as %s", self.scheduler, self._name)

    def _give_up(self, reason: str) -> None:
        """Ends the stream, to open another."""
        if self._link.cut is not None:
            self._link.cut()
        self._link.clear()
        self._session.disconnected()
        self._out_of_contact(reason)

    def _out_of_contact(self, why: str) -> None:
        """Says so once for each reason."""
        if why != self._trouble and not self._stops:
            _log.warning("No contact with the scheduler at %s: %s", self.scheduler, why)
        self._trouble = why

    def _carry_out(self, effect: _session.Effect) -> None:
        if isinstance(effect, _session.Send):
            if self._link.send is not None:
                self._link.send(_contract.v1_message(effect.message, self._who(effect.message)))
        elif isinstance(effect, _session.Execute):
            self._execute(effect.start)
        elif isinstance(effect, _session.End):
            self._ask_to_end(effect.attempt, ("killed", True))
        elif isinstance(effect, _session.Remember):
            self._dir.remember(effect.known)
        else:
            self._give_up(effect.reason)

    def _who(self, message: _session.Hello | _session.Update) -> dict[str, Any]:
        if isinstance(message, _session.Update):
            return {}
        # Later sessions of one incarnation have higher numbers.
        self._opened = max(self._opened + 1, since_boot_ns())
        seen = {"store_id": self._dir.seen["store_id"], "highest_commit": self._dir.seen["commit"]}
        seen |= {"seal": bytes(self._dir.seen["seal"]), "sealed_epoch": self._dir.seen["epoch"]}
        return {**self._identity, **seen, "opened": self._opened}

    # ------------------------------------------------------------ attempts

    def _execute(self, start: _session.Start) -> None:
        handler = self._handlers.get(start.name)
        if handler is None:
            return self._session.refused(start.attempt, f"this worker has no handler {start.name}")
        began = time.monotonic()
        due = began + start.timeout if start.timeout else None
        trace = {"traceparent": place(start.attempt, start.traceparent), "tracestate": start.tracestate}
        context = Context(start.attempt.task_id, start.attempt.number, start.entry, due, self._progressed, **trace)
        running = _Running(context, began, due, timeout_ms=int((start.timeout or 0) * 1000))
        self._running[start.attempt] = running
        # Members of an array share one payload; where there is none, each reads its entry.
        payload = start.payload or (start.entry or "").encode()
        thread = threading.Thread(
            target=lambda: self._events.put(run(handler, context, payload)), name=f"baton-{start.name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            del self._running[start.attempt]
            return self._session.refused(start.attempt, f"cannot start a thread: {error}")
        self._session.started(start.attempt)

    def _progressed(self, context: Context, percent: int, message: str) -> None:
        """Called by handlers, in their threads. Only the latest progress counts, so none is worth waiting for."""
        try:
            self._events.put_nowait((_session.AttemptId(context.task_id, context.attempt), percent, message))
        except queue.Full:
            pass

    def _ask_to_end(self, attempt: _session.AttemptId, verdict: tuple[str, int | str | bool]) -> None:
        running = self._running.get(attempt)
        if running is None or running.verdict is not None:
            return
        running.verdict = verdict
        running.end_by = time.monotonic() + self.kill_grace
        running.due = None
        running.context._cancel()

    def _look_at_clock(self, now: float) -> None:
        for attempt, running in self._running.items():
            if running.due is not None and now >= running.due:
                self._ask_to_end(attempt, ("timed_out_ms", running.timeout_ms))
            if running.end_by is not None and now >= running.end_by and running.verdict is not None:
                running.end_by, running.abandoned = None, True
                _log.error("A handler goes on though it was asked to end: task_id=%s", attempt.task_id)
                self._end(attempt, running, running.verdict, tree_gone=False)
        if self._stops and self._leave_by is None:
            self._leave_by = now + self.stop_within
            self._session.leave()
            for attempt in self._running:
                self._ask_to_end(attempt, ("killed", True))
        self._session.borrowed(sum(r.abandoned for r in self._running.values()))

    def _over(self, outcome: Outcome) -> None:
        attempt = _session.AttemptId(outcome.context.task_id, outcome.context.attempt)
        running = self._running.pop(attempt)
        if running.abandoned:
            return
        how: tuple[str, int | str | bool] = ("code", 0) if outcome.error is None else ("handler_error", outcome.error)
        result = outcome.result
        if len(result) > _RESULT_BYTES:
            how, result = ("handler_error", f"the result is over {_RESULT_BYTES} bytes"), b""
        if running.verdict is not None:
            # It finished all the same; whether that counts is the scheduler's to say.
            finished = running.verdict[0] == "killed" and how[0] == "code"
            how, result = (how, result) if finished else (running.verdict, b"")
        self._end(attempt, running, how, result)

    def _end(
        self,
        attempt: _session.AttemptId,
        running: _Running,
        how: tuple[str, int | str | bool],
        result: bytes = b"",
        tree_gone: bool = True,
    ) -> None:
        run_us = int((time.monotonic() - running.began) * 1e6)
        self._session.exited(attempt, _session.Exited(how, result, run_us, tree_gone))

    def _may_leave(self) -> bool:
        if not self._stops or self._leave_by is None:
            return False
        owed = any(not r.abandoned for r in self._running.values()) or (
            self._session.is_open and self._session.holds > 0
        )
        return self._stops > 1 or not owed or time.monotonic() >= self._leave_by
