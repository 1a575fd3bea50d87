"""Submits a handler task and prints its progress and result."""

import sys

from contract import Contract

address, name, payload = sys.argv[1:4]
contract = Contract(address)
spec = contract.message("TaskSpec")(name=name, payload=payload.encode())
accepted = contract.call("Gateway", "SubmitTask")(spec)
request = contract.message("ProgressRequest")(task_id=accepted.task_id)
for update in contract.call("Gateway", "SubscribeProgress")(request):
    print(contract.status(update.status), update.progress_percent, update.message)
task = contract.call("Gateway", "GetTask")(contract.message("GetTaskRequest")(task_id=accepted.task_id))
print(contract.status(task.status), task.result.decode())
