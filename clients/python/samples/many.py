"""Submits a hundred tasks at once and waits for all of them: `python many.py [GATEWAY]`."""

import sys

from baton import Client, shell

client = Client(*sys.argv[1:2])
accepted = client.submit_many([shell(f"echo {number}") for number in range(100)])
tasks = [client.wait(task.task_id) for task in accepted]
print(sum(task.status == "completed" for task in tasks), "completed")
