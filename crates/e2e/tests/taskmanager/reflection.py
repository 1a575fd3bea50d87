"""taskmanager.TaskManager through reflection alone: what it serves, what it refuses and how."""

import sys

import grpc
from grpc_requests import Client

client = Client.get_by_endpoint(sys.argv[1])
assert "taskmanager.TaskManager" in client.service_names, client.service_names


def call(method, request):
    return client.request("taskmanager.TaskManager", method, request)


def refused(method, request):
    try:
        answer = call(method, request)
        answer = list(answer) if method == "StreamTaskStatus" else answer
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError(f"{method} {request}: {answer}")


unknown = "01890000-0000-7000-8000-000000000000"
for method in ("CheckTaskStatus", "StreamTaskStatus"):
    assert refused(method, {"task_id": unknown})[0] == "NOT_FOUND", method
    for bad in ("", "not-an-id"):
        code, text = refused(method, {"task_id": bad})
        assert code == "INVALID_ARGUMENT" and text.startswith("task_id: "), (method, bad, code, text)
for field, request in [
    ("priority", {"task_description": "x", "priority": "URGENT"}),
    ("task_description", {"task_description": "x" * (1 << 20) + "x"}),
]:
    code, text = refused("SubmitTask", request)
    assert code == "INVALID_ARGUMENT" and text.startswith(f"{field}: "), (code, text)
task = call("SubmitTask", {"task_description": "waits"})
assert call("CheckTaskStatus", {"task_id": task["task_id"]}) == {"status": "QUEUED"}
print("all as promised")
