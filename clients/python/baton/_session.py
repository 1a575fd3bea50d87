"""The worker's side of the session with its scheduler: which attempts are held, what is reported, acknowledged, offered.

A pure state machine, driven by the worker's loop: inputs are calls, and what they cause comes out of `drain`, in order,
so that one message carries what many inputs caused. It follows `crates/session` rule by rule; what is missing here is
output, which handlers don't have. It must never read a clock, do I/O, or start anything itself.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from ._messages import *

PROTOCOL = 1
"""The version of the protocol that this package speaks."""
SHARD = 0
"""The only shard there is."""
HEARTBEAT = 5.0
"""Seconds between two messages at most: a worker says that it is there."""
SILENCE = 15.0
"""Seconds without a message after which the contact is lost."""

_ENDS_MAX = 1_024
# Ends that aren't acknowledged, at most, before nothing new is offered: bounds what is held for a slow scheduler.
_REMEMBERED = 16 * 1024
# Attempts that are gone and are remembered, so that a start that arrives twice starts nothing.
_PROGRESS_EVERY = 1.0
_PROGRESS_UNDER_WAY = 16
# Progress of one attempt that isn't acknowledged, at most: bounds what is said again after a reconnect.
_MESSAGE_BYTES = 4 * 1024 * 1024
_MESSAGE_REPORTS = 4_096
_AHEAD = 0.050
# Seconds of work that are held beyond free slots, at most, and only if tasks are shorter than `_SHORT`.
_SHORT = 0.020
_SAMPLE_MIN, _SAMPLE_MAX = 20e-6, 1.0
_PREFETCH_MAX = 64
# Python starts some thousand handlers a second at best: more gains nothing.


# ---------------------------------------------------------------- state


@dataclass
class _Held:
    phase: Phase
    start: Start | None = None
    end_stored: bool = False
    under_way: int = 0
    said: float = float("-inf")
    waiting: Progressed | None = None

    def next_progress(self, now: float) -> Progressed | None:
        """The latest, if the one before is acknowledged, or that takes too long."""
        late = now - self.said >= _PROGRESS_EVERY and self.under_way < _PROGRESS_UNDER_WAY
        if self.waiting is None or (self.under_way > 0 and not late):
            return None
        latest, self.waiting = self.waiting, None
        self.under_way += 1
        self.said = now
        return latest


@dataclass
class _Greeted:
    """Hello is sent."""

    heard: float


@dataclass
class _Open:
    """Welcomed."""

    session: int
    next_order: int
    heard: float
    spoke: float
    received: int = 0
    offer: Offer = Offer()
    # Killed in the message that welcomed us: nothing is taken before they have ended.
    overdue: set[AttemptId] = field(default_factory=set)


class Session:
    """See the module's documentation. Times are seconds on one monotonic clock."""

    def __init__(self, slots: int, known: Known = Known(), prefetch_max: int = _PREFETCH_MAX) -> None:
        self.slots = slots
        self.known = known
        self._prefetch_max = prefetch_max
        self._link: _Greeted | _Open | None = None
        self._held: dict[AttemptId, _Held] = {}
        self._gone: OrderedDict[AttemptId, None] = OrderedDict()
        self._queue: deque[AttemptId] = deque()
        self._running = 0
        self._borrowed = 0
        self._unacknowledged_ends = 0
        self._said: deque[Report] = deque()
        self._unsaid: deque[tuple[AttemptId, Kind]] = deque()
        self._last_number = 0
        self._closed_to_new = False
        self._leaving = False
        self._average = 0.0
        self._runs = 0
        self._effects: list[Effect] = []

    # ------------------------------------------------------------ seen from outside

    @property
    def is_open(self) -> bool:
        """Whether the scheduler has welcomed this worker and the contact lasts."""
        return isinstance(self._link, _Open)

    @property
    def holds(self) -> int:
        """How many attempts are here, in any phase."""
        return len(self._held)

    @property
    def free_slots(self) -> int:
        return max(0, self.slots - self._running - self._borrowed)

    def drain(self, now: float) -> list[Effect]:
        """What is to be done, in order."""
        while self._queue and self.free_slots > 0:
            attempt = self._queue.popleft()
            held = self._held[attempt]
            held.phase = Phase.RUNNING
            self._running += 1
            assert held.start is not None
            self._effects.append(Execute(held.start))
            held.start = None
        self._send_reports(now)
        effects, self._effects = self._effects, []
        return effects

    # ------------------------------------------------------------ the stream

    def connected(self, now: float) -> None:
        """The session's stream is up."""
        self.disconnected()
        self._link = _Greeted(heard=now)
        held = tuple((attempt, held.phase) for attempt, held in self._held.items())
        self._effects.append(Send(Hello(epoch=self.known.epoch, held=held)))

    def disconnected(self) -> None:
        """The session's stream has ended: what wasn't acknowledged will be said again, in the old order."""
        self._link = None
        self._closed_to_new = False
        self._unsaid.extendleft((r.attempt, r.kind) for r in reversed(self._said))
        self._said.clear()
        self._last_number = 0

    def _disconnect(self, reason: str) -> None:
        self.disconnected()
        self._effects.append(Disconnect(reason))

    def tick(self, now: float) -> None:
        """Time has passed; due at least once a second."""
        for attempt, held in self._held.items():
            self._say_progress(now, attempt, held)
        if self._link is not None and now - self._link.heard >= SILENCE:
            self._disconnect(f"nothing was heard for {SILENCE:.0f} s")

    # ------------------------------------------------------------ orders

    def orders(self, now: float, batch: OrderBatch) -> None:
        """A message of the scheduler: refused when stale or out of sequence, otherwise carried out in order."""
        if self._link is None:
            return
        expected = self._link.next_order if isinstance(self._link, _Open) else 1
        if batch.shard != SHARD:
            return self._disconnect(f"orders of shard {batch.shard}, which does not exist")
        if batch.orders and batch.sequence != expected:
            return self._disconnect(f"orders out of sequence: {batch.sequence} instead of {expected}")
        welcome = next((order for order in batch.orders if isinstance(order, Welcome)), None)
        # Epochs of different stores have nothing to do with each other.
        other_store = welcome is not None and self.known.store_id not in (None, welcome.store_id)
        if batch.epoch < self.known.epoch and not other_store:
            return self._disconnect(f"orders of epoch {batch.epoch}, but {self.known.epoch} has been seen")
        known = Known(welcome.store_id if welcome else self.known.store_id, batch.epoch)
        if known != self.known:
            self.known = known
            self._effects.append(Remember(known))
        self._link.heard = now
        if isinstance(self._link, _Open):
            self._link.next_order = expected + len(batch.orders)
        for order in batch.orders:
            if welcome is not None and isinstance(order, Kill) and isinstance(self._link, _Open):
                self._link.overdue.add(order.attempt)
            self._order(now, order, len(batch.orders))

    def _order(self, now: float, order: Order, count: int) -> None:
        if isinstance(order, Welcome):
            if isinstance(self._link, _Open):
                self._disconnect("welcomed twice")
            elif order.protocol != PROTOCOL:
                self._disconnect(f"the scheduler speaks protocol {order.protocol}, this worker {PROTOCOL}")
            elif self._link is not None:
                self._link = _Open(order.session, next_order=1 + count, heard=self._link.heard, spoke=now)
        elif not isinstance(self._link, _Open):
            # A disconnect further up in this batch needs no second one.
            if self._link is not None:
                self._disconnect("orders before the welcome")
        elif isinstance(order, Start):
            self._receive(self._link, order)
        elif isinstance(order, Kill):
            self._kill(order.attempt)
        elif isinstance(order, Recall):
            self._recall(order.attempt)
        elif isinstance(order, Forget):
            self._forget(now, order.number)
        else:
            self._closed_to_new = True

    def _receive(self, link: _Open, start: Start) -> None:
        link.received += 1
        attempt = start.attempt
        if attempt in self._held:
            # Held already, in whatever phase: an attempt is started at most once.
            return
        if attempt in self._gone:
            self._end(attempt, Refused("it was here before and is over"))
        elif self._leaving:
            self._end(attempt, Recalled())
        else:
            self._held[attempt] = _Held(Phase.QUEUED, start)
            self._queue.append(attempt)

    def _kill(self, attempt: AttemptId) -> None:
        held = self._held.get(attempt)
        if held is None or held.phase is Phase.QUEUED:
            self._end(attempt, Exited(("killed", True)))
        elif held.phase is Phase.RUNNING:
            self._effects.append(End(attempt))
        elif held.end_stored:
            self._let_go(attempt)

    def _recall(self, attempt: AttemptId) -> None:
        held = self._held.get(attempt)
        unstarted = attempt not in self._gone if held is None else held.phase is Phase.QUEUED
        if unstarted:
            self._end(attempt, Recalled())

    # ------------------------------------------------------------ attempts

    def started(self, attempt: AttemptId) -> None:
        """The attempt runs."""
        if self._runs_here(attempt):
            self._unsaid.append((attempt, Started()))

    def progressed(self, now: float, attempt: AttemptId, percent: int, message: str) -> None:
        """The attempt says how far it is. Only the latest counts while one is on its way."""
        if self._runs_here(attempt):
            held = self._held[attempt]
            held.waiting = Progressed(percent, message)
            self._say_progress(now, attempt, held)

    def exited(self, attempt: AttemptId, exited: Exited) -> None:
        """The attempt ended, by itself or because it was asked to."""
        if not self._runs_here(attempt):
            return
        held = self._held[attempt]
        if held.waiting is not None:
            self._unsaid.append((attempt, held.waiting))
            held.waiting = None
        if exited.how[0] != "killed":
            self._ran(exited.run_us / 1e6)
        self._end(attempt, exited)

    def refused(self, attempt: AttemptId, reason: str) -> None:
        """The worker will not start an attempt that it was given."""
        if self._runs_here(attempt):
            self._end(attempt, Refused(reason))

    def borrowed(self, slots: int) -> None:
        """So many slots are taken by what the scheduler no longer counts."""
        self._borrowed = slots

    def leave(self) -> None:
        """Take nothing new and give back what hasn't started: this process is about to end."""
        self._leaving = True
        for attempt in list(self._queue):
            self._end(attempt, Recalled())

    def _runs_here(self, attempt: AttemptId) -> bool:
        held = self._held.get(attempt)
        return held is not None and held.phase is Phase.RUNNING

    def _end(self, attempt: AttemptId, last: Kind) -> None:
        """Makes the attempt's last report; frees its slot if it had one."""
        held = self._held.setdefault(attempt, _Held(Phase.ENDED))
        if held.phase is Phase.RUNNING:
            self._running -= 1
        elif held.phase is Phase.QUEUED:
            self._queue.remove(attempt)
        held.phase, held.start = Phase.ENDED, None
        self._unacknowledged_ends += 1
        self._unsaid.append((attempt, last))

    def _let_go(self, attempt: AttemptId) -> None:
        if self._held.pop(attempt, None) is None:
            return
        self._gone[attempt] = None
        if len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)

    # ------------------------------------------------------------ reports and offers

    def _say_progress(self, now: float, attempt: AttemptId, held: _Held) -> None:
        latest = held.next_progress(now)
        if latest is not None:
            self._unsaid.append((attempt, latest))

    def _forget(self, now: float, number: int) -> None:
        """Reports up to this number are durable."""
        while self._said and self._said[0].number <= number:
            report = self._said.popleft()
            held = self._held.get(report.attempt)
            if held is None or isinstance(report.kind, Started):
                continue
            if isinstance(report.kind, Progressed):
                held.under_way = max(0, held.under_way - 1)
                self._say_progress(now, report.attempt, held)
            else:
                held.end_stored = True
                self._unacknowledged_ends -= 1
                self._let_go(report.attempt)

    def _send_reports(self, now: float) -> None:
        link = self._link
        if not isinstance(link, _Open):
            return
        offer: Offer | None = self._next_offer(link)
        if offer == link.offer:
            offer = None
        else:
            assert offer is not None
            link.offer = offer
        due = now - link.spoke >= HEARTBEAT
        while reports := self._next_reports():
            self._effects.append(Send(Update(reports, offer)))
            offer, due, link.spoke = None, False, now
        if offer is not None or due:
            self._effects.append(Send(Update((), offer)))
            link.spoke = now

    def _next_reports(self) -> tuple[Report, ...]:
        batch: list[Report] = []
        size = 0
        while self._unsaid and len(batch) < _MESSAGE_REPORTS and size < _MESSAGE_BYTES:
            attempt, kind = self._unsaid.popleft()
            size += len(kind.result) if isinstance(kind, Exited) else 0
            self._last_number += 1
            batch.append(Report(self._last_number, attempt, kind))
        self._said.extend(batch)
        return tuple(batch)

    def _next_offer(self, link: _Open) -> Offer:
        """What this worker can take now."""
        # Taken back: what is on its way all the same is given back unstarted. And nothing before those are gone whose
        # time was over while there was no contact.
        overdue = any(a in self._held and self._held[a].phase is not Phase.ENDED for a in link.overdue)
        if self._closed_to_new or self._leaving or overdue:
            return Offer(link.received, 0)
        free, queued = self.free_slots, len(self._queue)
        room = max(0, free + self._window() - queued)
        room = min(room, max(0, _ENDS_MAX - self._unacknowledged_ends))
        starts = max(link.offer.starts, link.received + room)
        beyond = starts - link.received - max(0, free - queued)
        return Offer(starts, max(0, beyond))

    def _ran(self, seconds: float) -> None:
        sample = min(max(seconds, _SAMPLE_MIN), _SAMPLE_MAX)
        self._average = sample if self._runs == 0 else self._average + (sample - self._average) / 8
        self._runs += 1

    def _window(self) -> int:
        """How many starts may be held beyond free slots: only where a round trip would be felt."""
        if self._runs < 2 or self._average >= _SHORT:
            return 0
        return min(self._prefetch_max, int(_AHEAD * self.slots / self._average))
