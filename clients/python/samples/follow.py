"""Runs a shell task and follows what it writes: `python follow.py [GATEWAY]`."""

import sys

from baton import Client, OutputEvent, StateEvent, shell

client = Client(*sys.argv[1:2])
task_id = client.submit(shell("echo hello")).task_id
for event in client.watch(task_id):
    if isinstance(event, OutputEvent):
        print(event.data.decode(), end="")
    elif isinstance(event, StateEvent) and event.final:
        print(f"{event.status} with exit code {event.exit_code}")
