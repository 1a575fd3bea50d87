"""Follows a task to its end: `follow.py GATEWAY TASK`. Says what the task writes, when the connection breaks, and at last
the status and the numbers of all events."""

import sys
import time

from baton import Client, OutputEvent, StateEvent

gateway, task_id = sys.argv[1:3]
# A pause is what follows a broken connection.
sleep, broken = time.sleep, []


def said(seconds: float) -> None:
    if not broken:
        print("broken", flush=True)
    broken.append(seconds)
    sleep(seconds)


time.sleep = said
numbers = []
for event in Client(gateway).watch(task_id):
    numbers.append(event.sequence)
    if isinstance(event, OutputEvent):
        print(event.data.decode(), end="", flush=True)
    elif isinstance(event, StateEvent) and event.final:
        print(event.status, *numbers, flush=True)
