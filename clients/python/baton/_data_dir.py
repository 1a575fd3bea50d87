"""The worker's directory: who it is on this boot, what it has seen, and that nobody else uses it."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from ._session import Known

_SAVE_EVERY = 1.0
# Seconds between two writes of the highest commit seen, at least.


_log = logging.getLogger("baton")

# Of a store of which nothing was seen: the commit, the epoch in which it was said, and what proves that.
_NOTHING: dict[str, Any] = {"commit": 0, "epoch": 0, "seal": []}


class DataDirError(Exception):
    """The directory can't be used: why."""


class DataDir:
    """A directory that is ours until it is closed. `seen` is the store's name and the highest commit of it that was seen:
    so a store that has lost commits is found out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(path / "worker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirError(f"cannot use the data directory {path}: {error}") from error
        self._take()
        self.seen = {"store_id": "", **_NOTHING, **(self._read("watermark.json") or {})}
        self._saved = dict(self.seen)
        self._saved_at = 0.0

    def _take(self) -> None:
        import fcntl  # Absent where no worker runs, and clients do.

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise DataDirError(
                f"the data directory {self.path} is in use by another worker; give this one another id or data_dir"
            ) from None
        # Tasks that a keeper holds are none of this process's: it would call them lost while they run on.
        if any(self.path.glob("keeper*")):
            self.close()
            raise DataDirError(f"the data directory {self.path} belongs to a worker with a keeper; choose another")

    def close(self) -> None:
        """Others may take it."""
        os.close(self._lock)

    def incarnation(self) -> str:
        """This directory on this boot."""
        try:
            identity = (self.path / "id").read_text().strip()
        except FileNotFoundError:
            identity = ""
        if not identity:
            identity = secrets.token_hex(16)
            self._replace("id", identity)
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            # Nothing names the boot: each process is a life of its own.
            boot = secrets.token_hex(8)
        return f"{identity}@{boot}"

    def known(self) -> Known:
        """What earlier processes have seen. What can't be read counts as not seen: it only widens what is accepted."""
        known = self._read("known.json") or {}
        return Known(known.get("store_id"), known.get("epoch", 0))

    def remember(self, known: Known) -> None:
        """Keeps this for later processes."""
        self._keep("known.json", {"store_id": known.store_id, "epoch": known.epoch})

    def heard(self, store_id: str | None, commit: int, epoch: int = 0, seal: bytes = b"") -> None:
        """The scheduler named its store, or a commit."""
        if store_id is not None and store_id != self.seen["store_id"]:
            self.seen = {"store_id": store_id, **_NOTHING}
        if commit >= self.seen["commit"]:
            self.seen.update(commit=commit, epoch=epoch, seal=list(seal))

    def save(self, last: bool = False) -> None:
        """Writes what was seen down, if that is due."""
        if self.seen == self._saved or not last and time.monotonic() - self._saved_at < _SAVE_EVERY:
            return
        self._saved_at = time.monotonic()
        if self._keep("watermark.json", self.seen):
            self._saved = dict(self.seen)

    def _keep(self, name: str, value: dict[str, Any]) -> bool:
        try:
            self._replace(name, json.dumps(value))
        except OSError as error:
            # This process still knows; only the next one might listen to a scheduler that was replaced.
            _log.error("Cannot write %s: %s", self.path / name, error)
            return False
        return True

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def _replace(self, name: str, text: str) -> None:
        """Writes a file whole or not at all."""
        fresh = self.path / f"{name}.new"
        fresh.write_text(text)
        fresh.replace(self.path / name)


def since_boot_ns() -> int:
    """Nanoseconds since the machine started, sleep included where that can be had: an earlier process of this boot has
    never said a higher number."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()
