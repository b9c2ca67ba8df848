"""When a service counts as down."""

from __future__ import annotations

from dataclasses import dataclass

from pkgharvest.errors import DownError, UpstreamError

FAILURES = 20
"""Attempts in a row that fail before a service counts as down."""
LASTING = 10.0
"""Seconds that the failures must last. The waits of a request's own retries take seven at most: what is
over sooner is bridged by them, however many requests meet it at once."""


@dataclass(slots=True)
class Outage:
    """The attempts that a service has failed in a row: no connection, a broken one, a status from 500 on."""

    failures: int = 0
    began: float = 0.0
    """When the first of them failed, in seconds of the run's clock."""

    def add(self, error: UpstreamError, now: float) -> bool:
        """Count an attempt that failed; tell whether the service counts as down now.

        What asking again cannot mend, as a certificate, need not last.
        """
        if not self.failures:
            self.began = now
        self.failures += 1
        return self.failures >= FAILURES and (error.attempts == 1 or now - self.began >= LASTING)

    def end(self) -> None:
        """Take note of an answer."""
        self.failures = 0

    def error(self, service: str, last: UpstreamError) -> DownError:
        """Return what the rest of the run is told."""
        message = f"{service} has failed {self.failures} times in a row and is not asked any more"
        return DownError(f"{message}; the last time: {last.message}", "Try again later")
