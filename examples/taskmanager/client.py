#!/usr/bin/env python3
"""Submits a task to taskmanager.TaskManager and prints each of its statuses, as the older task manager's client did.

    pip install grpcio grpcio-tools
    python3 client.py [ADDRESS] [DESCRIPTION] [LOW|MEDIUM|HIGH]

The client's code is generated from proto/taskmanager/taskmanager.proto when this starts.
"""

import os
import sys

import grpc

here = os.path.dirname(os.path.abspath(__file__))
# Beside this file in the container image, in the repository otherwise.
sys.path += [here, os.path.join(here, "../../proto/taskmanager")]
messages, services = grpc.protos_and_services("taskmanager.proto")


def main(address="127.0.0.1:50051", description="a first task", priority="MEDIUM"):
    with grpc.insecure_channel(address) as channel:
        manager = services.TaskManagerStub(channel)
        request = messages.TaskRequest(task_description=description, priority=priority)
        # In a compose file everything starts at once: the gateway may still be on its way.
        task = manager.SubmitTask(request, wait_for_ready=True, timeout=60)
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
