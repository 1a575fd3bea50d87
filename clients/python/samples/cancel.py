"""Cancels a task that runs: `python cancel.py [GATEWAY]`."""

import sys

from baton import Client, StateEvent, shell

client = Client(*sys.argv[1:2])
task_id = client.submit(shell("sleep 1000", timeout=None)).task_id
for event in client.watch(task_id):
    if isinstance(event, StateEvent) and event.state == "running":
        break
client.cancel(task_id)
print(client.wait(task_id).status)
