"""A worker with handlers that tests watch and hold. Started as `handlers.py SCHEDULER ID DATA_DIR`."""

import asyncio
import logging
import os
import pathlib
import sys
import time

from baton import Context, Worker

logging.basicConfig(level=logging.INFO)
scheduler, name, data_dir = sys.argv[1:4]
worker = Worker(scheduler, id=name, slots=4, labels={"language": "python"}, data_dir=data_dir, kill_grace=0.2)
witness, gate = pathlib.Path(os.environ["WITNESS"]), pathlib.Path(os.environ["GATE"])


def say(context: Context) -> None:
    with witness.open("a") as file:
        file.write(f"{context.task_id} {context.attempt} {name}\n")


@worker.handler("share")
def share(context: Context, payload: bytes) -> bytes:
    """As in `bin/handlers.rs`."""
    say(context)
    while payload.startswith(b"late") and not gate.exists():
        context.sleep(0.01)
    return payload[::-1]


@worker.handler("place-python")
def place(context: Context, payload: bytes) -> str:
    return f"{context.traceparent} {context.tracestate}"


@worker.handler("puppet")
def puppet(context: Context, payload: bytes):
    """Does what its payload says."""
    say(context)
    if payload == b"fail":
        raise ValueError("bad input \udcff")
    if payload == b"large":
        return bytes(1024 * 1024 + 1)
    if payload == b"whole":
        return bytes(range(256)) * 4096
    if payload == b"nonsense":
        return 7
    if payload == b"entry":
        return f"{context.entry}"
    if payload == b"progress":
        context.progress(42, "half way \udcff")
        context.progress(120, "m" * 1000)
        return None
    if payload == b"obey":
        context.sleep(3600)
    if payload == b"ignore":
        while not gate.exists():
            time.sleep(0.01)
        return b"too late"
    return payload


@worker.handler("async")
async def in_a_loop(context: Context, payload: bytes) -> bytes:
    say(context)
    if payload == b"obey":
        await asyncio.sleep(3600)
    await asyncio.sleep(0)
    return payload.upper()


worker.run()
print("left", flush=True)
