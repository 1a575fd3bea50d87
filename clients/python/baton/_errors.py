"""What can go wrong with a call."""

from __future__ import annotations

import json


class Error(Exception):
    """Any of them."""


class Unreachable(Error):
    """Nobody answers there, or the connection broke before the answer came: then the call may have been carried out."""


class Refused(Error):
    """The gateway's answer is no. `status`: of HTTP; `details`: what it means for whoever asked."""

    def __init__(self, message: str, status: int, details: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.details = details

    @property
    def passes(self) -> bool:
        """Whether trying again later may help."""
        return self.status == 429 or self.status >= 500


class NotFound(Refused):
    """There is no such task."""


def refusal(status: int, body: bytes) -> Refused:
    """The error that an answer is."""
    kind = NotFound if status == 404 else Refused
    try:
        said = json.loads(body)
        return kind(str(said["error"]), status, str(said.get("details", "")))
    except (ValueError, KeyError, TypeError):
        # Somebody in between answered in other words.
        return kind(body[:200].decode(errors="replace") or f"status {status}", status)
