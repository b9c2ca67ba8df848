"""One line for every request: retry, gate, redirects, judgement."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from pkgharvest.errors import (
    MalformedError,
    OversizedError,
    RateLimitedError,
    RedirectError,
    RetiredError,
    TokenRefusedError,
    UnavailableError,
    UnreachableError,
    UnreadableError,
    UpstreamError,
    detached,
)
from pkgharvest.net.clock import Clock
from pkgharvest.net.message import (
    Answer,
    Exchange,
    Forgetful,
    Memory,
    Origin,
    Request,
    Response,
    host_of,
    moved,
    origin_of,
)
from pkgharvest.net.outage import Outage
from pkgharvest.net.quota import Gate, Patience, Rules
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
        rules: Mapping[str, Rules],
        memory: Memory | None = None,
        replaying: bool = False,
    ) -> None:
        """Take what sends a request once, and the rules.

        Args:
            exchange: sends one request once.
            clock: the time, and the sleep.
            policy: what is asked again.
            patience: how long the run may wait for rate limits.
            rules: how each service is to be asked; one request after the other where it is not named.
            memory: keeps what was understood for later runs.
            replaying: see `Gate`.
        """
        self._exchange = exchange
        self._clock = clock
        self._policy = policy
        self._patience = patience
        self._rules = rules
        self._memory = memory or Forgetful()
        self._replaying = replaying
        self._moved: dict[tuple[str, str], str | None] = {}
        self._outages: dict[str, Outage] = {}
        self.gates: dict[str, Gate] = {}
        """The gates of the services that were asked, by their names."""

    async def __call__(self, request: Request[T]) -> Answer[T]:
        """Return the judged answer; see `Fetch`."""
        effort = Effort()
        while True:
            with suppress(_AgainError):
                return await self._policy.call(partial(self._attempt, request, effort), effort, self._clock)

    async def _attempt(self, request: Request[T], effort: Effort) -> Answer[T]:
        try:
            return await self._outcome(request, effort)
        except UpstreamError as error:
            raise detached(error) from None

    async def _outcome(self, request: Request[T], effort: Effort) -> Answer[T]:
        outage = self._outages.setdefault(request.service, Outage())
        try:
            response = await self._follow(request, effort)
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR and response.origin is not Origin.STORE:
                outage.end()
            return self._judged(request, response)
        except (OversizedError, UnreadableError):
            outage.end()  # it did answer
            raise
        except (UnreachableError, UnavailableError) as error:
            if outage.add(error, self._clock.monotonic()) and not self._replaying:
                self._gate(request.service).shut(outage.error(request.service, error))
            raise

    def _judged(self, request: Request[T], response: Response) -> Answer[T]:
        """Return what the answer says; what it means for the requests to come is told to the gate."""
        gate = self._gate(request.service)
        asked = replace(request, url=response.url)
        try:
            value = request.judge(response)
        except RateLimitedError as error:
            gate.close(error)
            raise _AgainError from error
        except UnavailableError as error:
            if error.after is not None:  # all are told to wait, not this request alone
                gate.close(RateLimitedError(error.message, error.advice, wait=error.after))
            raise
        except (TokenRefusedError, RetiredError) as error:
            gate.shut(error)
        except (UnreadableError, MalformedError):
            if response.origin is not Origin.NETWORK:  # what was stored is of no use any more
                self._memory.forget(asked)
                raise _AgainError from None
            raise
        except UpstreamError:
            self._memory.keep(asked, response)
            raise
        self._memory.keep(asked, response)
        if response.origin is Origin.NETWORK:
            gate.charge(request, request.points(value) - 1)
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
        async with gate.passage(request.resource):
            started = self._clock.monotonic()
            try:
                response = await self._exchange(request)
            except UpstreamError:
                gate.count(request)
                raise
            finally:
                effort.seconds += self._clock.monotonic() - started
        gate.note(request, response)
        return response

    def _present_address(self, request: Request[T]) -> str:
        if request.token is not None:
            return request.url
        key = (request.service, origin_of(request.url))
        if key not in self._moved:
            self._moved[key] = self._memory.move(*key, self._clock.now())
        origin = self._moved[key]
        return request.url if origin is None else moved(request.url, origin)

    def _remember(self, service: str, url: str, target: str) -> None:
        """Ask the service at the new origin from now on, where all that changed is the origin."""
        if moved(url, origin_of(target)) == target:
            self._moved[service, origin_of(url)] = origin_of(target)
            self._memory.remember_move(service, origin_of(url), origin_of(target), self._clock.now())

    def _gate(self, service: str) -> Gate:
        if service not in self.gates:
            rules = self._rules.get(service, Rules())
            self.gates[service] = Gate(service, self._clock, self._patience, rules, replaying=self._replaying)
        return self.gates[service]


class _AgainError(Exception):
    """The request is to be sent again: the gate knows when, or what was stored is gone."""


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
