"""What is submitted."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

Spec = Mapping[str, Any]
"""A task to run, in the form of `POST /tasks` (`/openapi.json`)."""


def shell(line: str, *, env: Mapping[str, str] | None = None, stdin: bytes = b"", **more: Any) -> dict[str, Any]:
    """A line for `/bin/sh -c`. `more`: see `handler`; also `working_dir`."""
    return _command({"command": line}, env, stdin, more)


def program(
    name: str, *args: str, env: Mapping[str, str] | None = None, stdin: bytes = b"", **more: Any
) -> dict[str, Any]:
    """A program and its arguments, started without a shell. `more`: see `handler`; also `working_dir`."""
    # Without arguments it would be a line for a shell.
    return _command(
        {"command": name, "args": list(args)} if args else {"command": f"exec {_quoted(name)}"}, env, stdin, more
    )


def handler(name: str, payload: bytes | str = b"", **more: Any) -> dict[str, Any]:
    """A task for the handler of this name.

    more: `timeout` (seconds that an attempt may run, None: no limit; 300 if nothing is said), `retries`, `worker`,
    `labels`, `queue`, `priority`, `idempotency_key`, `on_lost` ("retry", "fail", "wait"), `description`, or any other
    field of `POST /tasks`.
    """
    data = payload.encode() if isinstance(payload, str) else payload
    return {"name": name, "payload_base64": base64.b64encode(data).decode(), **_options(more)}


def array(spec: Spec, entries: Sequence[str] | range) -> dict[str, Any]:
    """Makes a spec that of many tasks in one: one for each entry (found in BATON_ENTRY), or for each index of a range
    (in BATON_ARRAY_INDEX)."""
    if isinstance(entries, range):
        ranges = [{"first": index, "last": index} for index in entries]
        if entries.step == 1 and len(entries) > 0:
            ranges = [{"first": entries[0], "last": entries[-1]}]
        return {**spec, "array": {"ranges": ranges}}
    return {**spec, "array": {"ranges": [{"first": 1, "last": len(entries)}], "entries": list(entries)}}


def _command(
    command: dict[str, Any], env: Mapping[str, str] | None, stdin: bytes, more: dict[str, Any]
) -> dict[str, Any]:
    if env:
        command["env"] = dict(env)
    if stdin:
        command["stdin_base64"] = base64.b64encode(stdin).decode()
    if "working_dir" in more:
        command["working_dir"] = more.pop("working_dir")
    return {"shell": command, **_options(more)}


def _options(more: dict[str, Any]) -> dict[str, Any]:
    spec = dict(more)
    if "timeout" in spec:
        timeout = spec.pop("timeout")
        spec["timeout_ms"] = 0 if timeout is None else max(1, round(timeout * 1000))
    if "retries" in spec:
        spec["max_retries"] = spec.pop("retries")
    return spec


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
