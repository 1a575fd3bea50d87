"""A worker of the first orchestrator: it knows heartbeat, progress and result, and reverses payloads."""

import queue
import sys
import time

from contract import Contract

contract = Contract(sys.argv[1])
Response = contract.message("WorkerResponse")
outbox = queue.Queue()


def heartbeat(slots):
    message = Response()
    message.heartbeat.worker_id = "python-1"
    message.heartbeat.worker_address = "127.0.0.1:1"
    message.heartbeat.available_slots = slots
    message.heartbeat.timestamp = int(time.time())
    outbox.put(message)


heartbeat(2)
assignments = contract.call("Scheduler", "RegisterWorker")(iter(outbox.get, None))
assignments.initial_metadata()
print("registered", flush=True)
for assignment in assignments:
    assert assignment.task_id and assignment.spec.name and not assignment.orders, assignment
    for percent in (10, 60):
        message = Response()
        message.progress.task_id = assignment.task_id
        message.progress.status = 2
        message.progress.progress_percent = percent
        message.progress.message = "reversing"
        outbox.put(message)
    message = Response()
    message.result.task_id = assignment.task_id
    message.result.status = 3
    message.result.output = assignment.spec.payload[::-1]
    message.result.timestamp = int(time.time())
    outbox.put(message)
    heartbeat(2)
