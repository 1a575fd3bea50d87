"""The quick start through reflection alone: no generated code, nothing of ours."""

import base64
import sys

from grpc_requests import Client

gateway, scheduler, worker = sys.argv[1:4]

for address, service in [(gateway, "Gateway"), (scheduler, "Scheduler"), (worker, "Worker")]:
    client = Client.get_by_endpoint(address)
    assert f"orchestrator.v1.{service}" in client.service_names, client.service_names
    assert "grpc.health.v1.Health" in client.service_names, client.service_names
    for _ in range(500):
        answer = client.request(f"orchestrator.v1.{service}", "HealthCheck", {})
        if answer.get("healthy"):
            break
    assert answer.get("healthy") is True and answer.get("version") == "0.1.0", (service, answer)
    print(service, answer)

client = Client.get_by_endpoint(gateway)
accepted = client.request(
    "orchestrator.v1.Gateway",
    "SubmitTask",
    {
        "name": "data-processing-job",
        "description": "Process and analyze customer data",
        "payload": "SGVsbG8gV29ybGQ=",
        "timeout_secs": 300,
        "max_retries": 3,
    },
)
print(accepted)
assert int(accepted["timestamp"]) > 1_700_000_000, accepted

updates = list(client.request("orchestrator.v1.Gateway", "SubscribeProgress", {"task_id": accepted["task_id"]}))
for update in updates:
    print(update)
states = [u["status"] for u in updates]
running = [u for u in updates if u["status"] == "TASK_STATUS_RUNNING"]
assert states[0] == "TASK_STATUS_PENDING", states
assert any(0 < u.get("progress_percent", 0) < 100 for u in running), running
assert states[-1] == "TASK_STATUS_COMPLETED" and updates[-1]["progress_percent"] == 100, updates[-1]
assert all(u["task_id"] == accepted["task_id"] for u in updates)

# A subscriber that comes late gets the whole story at once.
again = list(client.request("orchestrator.v1.Gateway", "SubscribeProgress", {"task_id": accepted["task_id"]}))
assert again == updates, (again, updates)

task = client.request("orchestrator.v1.Gateway", "GetTask", {"task_id": accepted["task_id"]})
assert base64.b64decode(task["result"]) == b"Hello World", task
print("all as promised")
