"""One line for every request: retry, gate, redirects, judgement."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from pkgharvest.errors import RateLimitedError, RedirectError, TokenRefusedError, UnavailableError
from pkgharvest.net.clock import Clock
from pkgharvest.net.message import Answer, Exchange, Request, Response, host_of, moved, origin_of
from pkgharvest.net.quota import Gate, Patience
from pkgharvest.net.retry import Effort, RetryPolicy

T = TypeVar("T")

_PERMANENT = frozenset({301, 308})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOPS = 5


class Fetcher:
    """A `Fetch` over an `Exchange`: what one run asks goes through one of these."""

    def __init__(  # noqa: PLR0913  the rules of the line, by name
        self,
        exchange: Exchange,
        clock: Clock,
        *,
        policy: RetryPolicy,
        patience: Patience,
        at_once: Mapping[str, int],
        replaying: bool = False,
    ) -> None:
        """Take what sends a request once, and the rules.

        Args:
            exchange: sends one request once.
            clock: the time, and the sleep.
            policy: what is asked again.
            patience: how long the run may wait for rate limits.
            at_once: how many requests may be under way to a service; one by one where it is not named.
            replaying: see `Gate`.
        """
        self._exchange = exchange
        self._clock = clock
        self._policy = policy
        self._patience = patience
        self._at_once = at_once
        self._replaying = replaying
        self._moved: dict[tuple[str, str], str] = {}
        self.gates: dict[str, Gate] = {}
        """The gates of the services that were asked, by their names."""

    async def __call__(self, request: Request[T]) -> Answer[T]:
        """Return the judged answer; see `Fetch`."""
        effort = Effort()
        while True:
            with suppress(_GateClosedError):
                return await self._policy.call(partial(self._attempt, request, effort), effort, self._clock)

    async def _attempt(self, request: Request[T], effort: Effort) -> Answer[T]:
        response = await self._follow(request, effort)
        gate = self._gate(request.service)
        try:
            value = request.judge(response)
        except RateLimitedError as error:
            gate.close(error)
            raise _GateClosedError from error
        except UnavailableError as error:
            if error.after is not None:  # all are told to wait, not this request alone
                gate.close(RateLimitedError(error.message, error.advice, wait=error.after))
            raise
        except TokenRefusedError as error:
            gate.shut(error)
        gate.praise()
        return Answer(value, response.received)

    async def _follow(self, request: Request[T], effort: Effort) -> Response:
        """Send the request, and again to wherever it is redirected."""
        url = self._present_address(request)
        for _ in range(_HOPS + 1):
            response = await self._send(replace(request, url=url), effort)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or location is None:
                return response
            target = _checked(location, url, credentials=request.token is not None)
            if response.status in _PERMANENT:
                self._remember(request.service, url, target)
            url = target
        raise RedirectError(f"{host_of(request.url)} redirects in a circle: {request.url}")

    async def _send(self, request: Request[T], effort: Effort) -> Response:
        gate = self._gate(request.service)
        async with gate.passage():
            started = self._clock.monotonic()
            try:
                response = await self._exchange(request)
            finally:
                effort.seconds += self._clock.monotonic() - started
        gate.note(response.headers)
        return response

    def _present_address(self, request: Request[T]) -> str:
        if request.token is not None:
            return request.url
        origin = self._moved.get((request.service, origin_of(request.url)))
        return request.url if origin is None else moved(request.url, origin)

    def _remember(self, service: str, url: str, target: str) -> None:
        """Ask the service at the new origin from now on, where all that changed is the origin."""
        if moved(url, origin_of(target)) == target:
            self._moved[service, origin_of(url)] = origin_of(target)

    def _gate(self, service: str) -> Gate:
        if service not in self.gates:
            at_once = self._at_once.get(service, 1)
            self.gates[service] = Gate(
                service, self._clock, self._patience, at_once=at_once, replaying=self._replaying
            )
        return self.gates[service]


class _GateClosedError(Exception):
    """The host wants us to wait; the gate knows how long."""


def _checked(location: str, url: str, *, credentials: bool) -> str:
    """Return where a redirect leads if we go there.

    Raises:
        RedirectError: it leads to another origin while credentials are sent, from https to http,
            or to what is no web address.
    """
    try:
        target = urljoin(url, location)
        origin = origin_of(target)
    except ValueError as error:
        raise RedirectError(f"{host_of(url)} redirects to {location!r}, which is no address") from error
    schemes = {"https"} if urlsplit(url).scheme == "https" else {"https", "http"}
    if urlsplit(target).scheme not in schemes or not urlsplit(target).hostname:
        raise RedirectError(f"{host_of(url)} redirects to {target!r}, where we do not go")
    if credentials and origin != origin_of(url):
        raise RedirectError(f"{host_of(url)} redirects to {host_of(target)}; the token does not go there")
    return target.partition("#")[0]
