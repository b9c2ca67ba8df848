"""What can go wrong, named for what happened.

    PkgharvestError
    ├── TargetError            the text names no package or repository
    ├── SettingError           a setting, an option or an input file is wrong
    ├── OutputError            a document cannot be written
    │   ├── OccupiedError          something is in the way that is not to be overwritten
    │   └── BusyError              another run works on the same folder
    ├── StoppedError           somebody stopped the run
    ├── NoRepositoryError      nothing tells where the package's repository is
    ├── NotRecordedError       a recording holds no answer to a request
    ├── NotStoredError         nothing is stored that answers a request, and the network is not to be asked
    └── UpstreamError          a service did not give what was asked of it
        ├── UnreachableError   no connection, or it broke
        │   ├── UntrustedError     its certificate cannot be verified
        │   └── DownError          it has failed so often in a row that it is not asked any more
        ├── UnavailableError   it answered that it cannot answer now
        ├── NotReadyError      it is still computing the answer
        ├── OverloadedError    it could not answer so much at once
        ├── RateLimitedError   it wants fewer requests
        ├── TokenRefusedError  it does not accept the token
        ├── RetiredError       it does not answer this version of its API any more
        ├── RefusedError       it will not answer this request
        ├── NotFoundError      it does not have, or does not show, what was asked for
        ├── ConflictError      there is nothing to answer with, as in an empty repository
        ├── RedirectError      it points to where we do not go
        ├── NotModifiedError   it says that nothing has changed, and was not asked that
        ├── UnreadableError    the answer is no JSON, or not whole
        ├── OversizedError     the answer is larger than we take
        └── MalformedError     the answer is JSON of another shape

Every error has a ``message`` (what happened), an ``advice`` (what to do next, may be empty), a
``reason`` (a word for programs), and tells by ``retryable`` whether trying again later may help.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

E = TypeVar("E", bound=Exception)


def printable(text: str) -> str:
    """Return a text on one line, U+FFFD in place of what could steer a terminal (control, bidirectional)."""
    return "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))


def detached(error: E) -> E:
    """Return the error without its traceback and causes, which hold all that was read when it came.

    An answer has up to 64 MiB, and a run keeps the errors of many targets.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


class PkgharvestError(Exception):
    """Anything that pkgharvest raises on purpose."""

    reason: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, advice: str = "") -> None:
        """Take what happened and what to do next, each without a full stop at the end."""
        self.message = printable(message)  # it may quote what others wrote
        self.advice = printable(advice)
        super().__init__(self.message)

    def __str__(self) -> str:
        """Return the message and, after a full stop, the advice."""
        return f"{self.message}. {self.advice}" if self.advice else self.message


class TargetError(PkgharvestError):
    """The text names no package or repository."""

    reason = "bad-target"


class SettingError(PkgharvestError):
    """A setting, an option or an input file is wrong; nothing has been asked."""

    reason = "bad-setting"


class OutputError(PkgharvestError):
    """A document cannot be written."""

    reason = "output"


class OccupiedError(OutputError):
    """What is at the place of a document is not to be overwritten; the other documents can be written."""

    reason = "occupied"


class BusyError(OutputError):
    """Another run works on the same folder."""

    reason = "busy"
    retryable = True


class StoppedError(PkgharvestError):
    """Somebody stopped the run; ``signal`` is the number of the signal."""

    reason = "stopped"
    retryable = True

    def __init__(self, message: str, signal: int) -> None:
        """Take what happened, and the number of the signal."""
        super().__init__(message, "Run again for the rest")
        self.signal = signal


class NoRepositoryError(PkgharvestError):
    """Nothing tells where the package's repository is, or it is on a host that is not read."""

    reason = "no-repository"


class NotRecordedError(PkgharvestError):
    """A recording holds no answer to a request."""

    reason = "not-recorded"


class NotStoredError(PkgharvestError):
    """Nothing is stored that answers a request, and the network is not to be asked."""

    reason = "not-stored"


class UpstreamError(PkgharvestError):
    """A service did not give what was asked of it.

    ``attempts`` is how often a request that meets this error is sent in all.
    """

    attempts: ClassVar[int] = 1


class UnreachableError(UpstreamError):
    """No connection was made, or it broke before the whole answer was there."""

    reason = "unreachable"
    retryable = True
    attempts = 4


class UntrustedError(UnreachableError):
    """The host's certificate cannot be verified; asking again would not change it."""

    reason = "untrusted"
    retryable = False
    attempts = 1


class DownError(UnreachableError):
    """The service has failed so often in a row that the run does not ask it any more."""

    reason = "down"
    attempts = 1


class UnavailableError(UpstreamError):
    """The host answered that it cannot answer now; ``after`` is its Retry-After in seconds, or None."""

    reason = "unavailable"
    retryable = True
    attempts = 4

    def __init__(self, message: str, advice: str = "", *, after: float | None = None) -> None:
        """Take the seconds that the host asks to wait, if it said so."""
        super().__init__(message, advice)
        self.after = after


class NotReadyError(UpstreamError):
    """The host is still computing the answer (202)."""

    reason = "not-ready"
    retryable = True
    attempts = 5


class OverloadedError(UpstreamError):
    """The host could not answer so much at once; a smaller question may do."""

    reason = "overloaded"
    retryable = True
    attempts = 2


class RateLimitedError(UpstreamError):
    """The host wants fewer requests; ``wait`` is how many seconds it asks for, None if it did not say.

    ``hurried`` tells that they came too fast (a secondary limit), not that they were too many.
    """

    reason = "rate-limited"
    retryable = True

    def __init__(
        self, message: str, advice: str = "", *, wait: float | None = None, hurried: bool = False
    ) -> None:
        """Take the seconds that the host asks to wait, if it said so."""
        super().__init__(message, advice)
        self.wait = wait
        self.hurried = hurried


class TokenRefusedError(UpstreamError):
    """The host does not accept the token."""

    reason = "token-refused"


class RetiredError(UpstreamError):
    """The host does not answer this version of its API, or not any more."""

    reason = "retired"


ENDINGS = (RateLimitedError, TokenRefusedError, RetiredError, StoppedError)
"""Errors after which no other target can succeed either; a fall-back must not hide them."""


class RefusedError(UpstreamError):
    """The host will not answer this request: forbidden, blocked, too large."""

    reason = "refused"


class NotFoundError(UpstreamError):
    """The host does not have what was asked for, or does not show it to us."""

    reason = "not-found"


class ConflictError(UpstreamError):
    """There is nothing to answer with (409), as for the commits of an empty repository."""

    reason = "conflict"


class RedirectError(UpstreamError):
    """The answer points to where we do not go: elsewhere with credentials, in a circle, to no place."""

    reason = "redirect"


class NotModifiedError(UpstreamError):
    """The host says that nothing has changed (304), though nothing was said of what there was."""

    reason = "not-modified"
    retryable = True
    attempts = 2


class UnreadableError(UpstreamError):
    """The answer is no JSON, or not whole."""

    reason = "unreadable"
    retryable = True
    attempts = 3


class OversizedError(UpstreamError):
    """The answer is larger than we take."""

    reason = "oversized"


class MalformedError(UpstreamError):
    """The answer is JSON of another shape than documented."""

    reason = "malformed"
