"""Has a handler work, and prints its result: `python handler.py [GATEWAY]`. The sample `worker` has the handler."""

import sys

from baton import Client, handler

client = Client(*sys.argv[1:2])
task_id = client.submit(handler("reverse", b"stressed")).task_id
print(client.wait(task_id).result.decode())
