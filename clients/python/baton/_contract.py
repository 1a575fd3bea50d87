"""The messages of `orchestrator.v1`, and the worker's streams of it.

They are made from the contract's descriptor (`orchestrator.binpb`, which a test of the repository keeps equal to the
proto), not generated: so any version of protobuf does, and another package with messages of the same name is no clash,
because these live in a pool of their own.
"""

from __future__ import annotations

import time
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from . import _session as session

_PACKAGE = "orchestrator.v1"
REGISTER_WORKER = f"/{_PACKAGE}.Scheduler/RegisterWorker"
MESSAGE_BYTES = 16 * 1024 * 1024
"""The largest message on any connection."""
_TIMEOUT_DEFAULT = 300.0
# Seconds that a timeout of 0 on the wire means.


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    data = resources.files(__package__).joinpath("orchestrator.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _pool()


def message(name: str) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


WorkerResponse = message("WorkerResponse")
TaskAssignment = message("TaskAssignment")


# ---------------------------------------------------------------- what is read


class NotUnderstood(Exception):
    """The scheduler sent what this worker does not understand."""


def order_batch(assignment: Any) -> session.OrderBatch:
    """A message of the scheduler's.

    Raises NotUnderstood; also for an assignment in the older dialect.
    """
    if assignment.task_id or assignment.HasField("spec"):
        raise NotUnderstood("task_id: is of the older dialect, and this worker said hello")
    orders = tuple(_order(order) for order in assignment.orders)
    return session.OrderBatch(assignment.shard, assignment.epoch, assignment.sequence, orders)


def _order(order: Any) -> session.Order:
    which = order.WhichOneof("order")
    if which is None:
        raise NotUnderstood("order: is of a kind that this worker does not know")
    value = getattr(order, which)
    if which == "welcome":
        return session.Welcome(value.session, value.store_id, value.protocol)
    if which == "start":
        return _start(value)
    if which == "forget":
        return session.Forget(value.number)
    if which == "drain":
        return session.Drain()
    attempt = session.AttemptId(value.task_id, value.attempt)
    return session.Kill(attempt) if which == "kill" else session.Recall(attempt)


def _start(start: Any) -> session.Start:
    spec = start.spec
    if spec.HasField("timeout_ms"):
        timeout = spec.timeout_ms / 1000 or None
    else:
        timeout = float(spec.timeout_secs) or _TIMEOUT_DEFAULT
    return session.Start(
        attempt=session.AttemptId(start.task_id, start.attempt),
        # What is a command goes to no worker that says it has handlers only.
        name="" if spec.WhichOneof("run") else spec.name,
        payload=spec.payload,
        entry=start.entry if start.HasField("entry") else None,
        timeout=timeout,
        traceparent=spec.traceparent,
        tracestate=spec.tracestate,
    )


# ---------------------------------------------------------------- what is said


def v1_message(message: session.Hello | session.Update, identity: dict[str, Any]) -> Any:
    """A message to the scheduler. `identity`: the hello's fields that the session doesn't know."""
    wire = WorkerResponse()
    if isinstance(message, session.Hello):
        _hello(wire.hello, message, identity)
        return wire
    # An update that says nothing must be there all the same.
    wire.update.SetInParent()
    for report in message.reports:
        _report(wire.update.reports.add(), report)
    if message.offer is not None:
        wire.update.offer.SetInParent()
        wire.update.offer.starts = message.offer.starts
        wire.update.offer.prefetch = message.offer.prefetch
    return wire


def _hello(wire: Any, hello: session.Hello, identity: dict[str, Any]) -> None:
    for name, value in identity.items():
        if isinstance(value, dict):
            getattr(wire, name).update(value)
        elif isinstance(value, (list, tuple)):
            getattr(wire, name).extend(value)
        else:
            setattr(wire, name, value)
    wire.protocol_min = wire.protocol_max = session.PROTOCOL
    wire.executors.append("handler")
    wire.kill_level = "best-effort"
    wire.highest_epoch = hello.epoch
    for attempt, phase in hello.held:
        held = wire.held.add()
        held.task_id, held.attempt, held.phase = attempt.task_id, attempt.number, phase.value


def _report(wire: Any, report: session.Report) -> None:
    now_ms = time.time_ns() // 1_000_000
    wire.number = report.number
    wire.task_id, wire.attempt = report.attempt.task_id, report.attempt.number
    kind = report.kind
    if isinstance(kind, session.Started):
        wire.started.at_ms = now_ms
    elif isinstance(kind, session.Progressed):
        wire.progressed.percent, wire.progressed.message = kind.percent, kind.message
        wire.progressed.at_ms = now_ms
    elif isinstance(kind, session.Refused):
        wire.refused.reason = kind.reason
    elif isinstance(kind, session.Recalled):
        wire.recalled.SetInParent()
    else:
        how, value = kind.how
        setattr(wire.exited, how, value)
        wire.exited.at_ms = now_ms
        wire.exited.result = kind.result
        wire.exited.run_us = kind.run_us
        wire.exited.tree_gone = kind.tree_gone
        wire.exited.totals.SetInParent()
