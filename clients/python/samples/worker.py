"""A worker with a handler of its own: `python worker.py [SCHEDULER] [ID]`."""

import logging
import sys

from baton import Context, Worker

logging.basicConfig(level=logging.INFO)
worker = Worker(*sys.argv[1:3])


@worker.handler("reverse")
def reverse(context: Context, payload: bytes) -> bytes:
    """Reverses its payload; asks now and then whether it should end."""
    turned = bytearray()
    for number, byte in enumerate(reversed(payload), 1):
        context.check()
        turned.append(byte)
        context.progress(100 * number // len(payload), f"{number} bytes")
    return bytes(turned)


worker.run()
