#!/usr/bin/env python3
"""Submits a task to taskmanager.TaskManager and prints each of its statuses, as the older task manager's client did.

    pip install grpcio grpcio-tools
    python3 client.py [ADDRESS] [DESCRIPTION] [LOW|MEDIUM|HIGH]

The client's code is generated from proto/taskmanager/taskmanager.proto when this starts.
"""

import os
import sys
import time

import grpc

here = os.path.dirname(os.path.abspath(__file__))
# Beside this file in the container image, in the repository otherwise.
sys.path += [here, os.path.join(here, "../../proto/taskmanager")]
messages, services = grpc.protos_and_services("taskmanager.proto")


def submit(manager, request, patience=60):
    """Everything may have been started at the same time: the gateway, or its scheduler, may still be on its way."""
    last = time.monotonic() + patience
    while True:
        try:
            return manager.SubmitTask(request, wait_for_ready=True, timeout=patience)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > last:
                raise
            time.sleep(0.2)


def main(address="127.0.0.1:50051", description="a first task", priority="MEDIUM"):
    with grpc.insecure_channel(address) as channel:
        manager = services.TaskManagerStub(channel)
        request = messages.TaskRequest(task_description=description, priority=priority)
        task = submit(manager, request)
        print("task", task.task_id, flush=True)
        last = None
        for update in manager.StreamTaskStatus(messages.StatusRequest(task_id=task.task_id)):
            last = update.status
            print(last, flush=True)
        now = manager.CheckTaskStatus(messages.StatusRequest(task_id=task.task_id)).status
        print("now", now, flush=True)
    return 0 if last == now == "COMPLETED" else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except grpc.RpcError as error:
        sys.exit(f"error: {error.details()}")
