from __future__ import annotations

import asyncio
import gc
import random
import traceback
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from pkgharvest.errors import (
    DownError,
    NotFoundError,
    OversizedError,
    RateLimitedError,
    RedirectError,
    RetiredError,
    TokenRefusedError,
    UnavailableError,
    UnreachableError,
    UntrustedError,
    UpstreamError,
)
from pkgharvest.net.clock import JumpingClock
from pkgharvest.net.fetch import Fetcher
from pkgharvest.net.message import Answer, Cost, Forgetful, Origin, Request, Response, Token
from pkgharvest.net.quota import Patience, Quota, Rules
from pkgharvest.net.retry import RetryPolicy

pytestmark = pytest.mark.anyio

T = TypeVar("T")

START = datetime(2026, 2, 15, 12, tzinfo=UTC)
HERE = "https://here.example"
THERE = "https://there.example"
TOKEN = Token("marked-token", "GITHUB_TOKEN")


class RecordingClock(JumpingClock):
    """Notes every sleep."""

    def __init__(self) -> None:
        super().__init__(START)
        self.sleeps: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await super().sleep(seconds)


class Reply:
    """A status, headers and a body, before they are an answer to a request."""

    def __init__(
        self, status: int = 200, body: str = "", origin: Origin = Origin.NETWORK, /, **headers: str
    ) -> None:
        self.status = status
        self.body = body
        self.origin = origin
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Upstream:
    """Hosts that answer by URL, in the given order and the last answer for good; notes what was asked."""

    def __init__(self, replies: Mapping[str, Sequence[Reply | UpstreamError]]) -> None:
        self.replies = {url: list(some) for url, some in replies.items()}
        self.asked: list[str] = []
        self.signed: list[str] = []
        self.under_way = 0
        self.most = 0

    async def __call__(self, request: Request[T]) -> Response:
        self.asked.append(request.url)
        if request.token is not None:
            self.signed.append(request.url)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        replies = self.replies.get(request.url, [Reply(404)])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, UpstreamError):
            raise reply
        received = START + timedelta(microseconds=len(self.asked))
        body = reply.body.encode()
        return Response(request.url, reply.status, reply.headers, body, received, body, reply.origin)


def judge(response: Response) -> str:
    wait = response.headers.get("retry-after")
    match response.status:
        case 200:
            return response.body.decode()
        case 401:
            raise TokenRefusedError(f"{response.host} does not accept the token")
        case 429:
            is_hurried = "hurried" in response.headers
            seconds = float(wait) if wait else None
            raise RateLimitedError(f"{response.host} limits us", wait=seconds, hurried=is_hurried)
        case 503 | 599:
            raise UnavailableError(f"{response.host} is busy", after=float(wait) if wait else None)
        case status:
            raise NotFoundError(f"{response.host} answered {status}")


def ask(url: str, token: Token | None = None, service: str = "service") -> Request[str]:
    return Request(service, url, judge, token=token)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  jitter, no secret


class Run:
    """A fetcher with all that it stands on."""

    def __init__(
        self,
        replies: Mapping[str, Sequence[Reply | UpstreamError]],
        *,
        patience: float = 60.0,
        at_once: int = 8,
        per_minute: Mapping[str, int] | None = None,
        replaying: bool = False,
    ) -> None:
        self.upstream = Upstream(replies)
        self.clock = RecordingClock()
        self.patience = Patience(patience)
        self.fetch = Fetcher(
            self.upstream,
            self.clock,
            policy=RetryPolicy(random=seeded(1)),
            patience=self.patience,
            rules={"service": Rules(at_once, per_minute or {}, "Set a token")},
            replaying=replaying,
        )

    async def values(self, *urls: str, token: Token | None = None) -> list[str]:
        return [(await self.fetch(ask(url, token))).value for url in urls]


async def test_the_judged_value_and_the_time_of_its_arrival_are_returned() -> None:
    run = Run({f"{HERE}/a": [Reply(200, "yes")]})
    answer = await run.fetch(ask(f"{HERE}/a"))
    assert answer == Answer("yes", START + timedelta(microseconds=1))
    assert (run.upstream.asked, run.clock.sleeps) == ([f"{HERE}/a"], [])


async def test_a_passing_failure_is_asked_again_and_the_time_is_that_of_the_last_answer() -> None:
    run = Run({f"{HERE}/a": [Reply(503), UnreachableError("gone"), Reply(200, "yes")]})
    answer = await run.fetch(ask(f"{HERE}/a"))
    assert answer == Answer("yes", START + timedelta(microseconds=3))
    same = seeded(1)
    assert run.clock.sleeps == [same.uniform(0, 1), same.uniform(0, 2)]


async def test_retry_after_is_obeyed() -> None:
    run = Run({f"{HERE}/a": [Reply(503, retry_after="7"), Reply(200, "yes")]})
    assert await run.values(f"{HERE}/a") == ["yes"]
    assert run.clock.sleeps == [7]


async def test_a_lasting_failure_is_raised_after_four_attempts() -> None:
    run = Run({f"{HERE}/a": [Reply(503)]})
    with pytest.raises(UnavailableError):
        await run.values(f"{HERE}/a")
    assert len(run.upstream.asked) == 4


async def test_a_final_answer_is_not_asked_again() -> None:
    run = Run({})
    with pytest.raises(NotFoundError):
        await run.values(f"{HERE}/a")
    assert len(run.upstream.asked) == 1


async def test_a_rate_limit_is_waited_for_and_costs_no_attempt() -> None:
    limits = [Reply(429, retry_after="2")] * 6
    run = Run({f"{HERE}/a": [*limits, Reply(200, "yes")]})
    assert await run.values(f"{HERE}/a") == ["yes"]
    assert (run.clock.sleeps, run.patience.left) == ([2] * 6, 48)


async def test_a_rate_limit_between_failures_gives_no_new_attempts() -> None:
    run = Run({f"{HERE}/a": [Reply(503), Reply(503), Reply(429, retry_after="1"), Reply(503)]})
    with pytest.raises(UnavailableError):
        await run.values(f"{HERE}/a")
    assert len(run.upstream.asked) == 5  # four that met the failure, one that met the limit


async def test_a_host_that_is_unavailable_until_later_is_left_alone_by_all() -> None:
    busy = Reply(503, retry_after="40")
    run = Run({f"{HERE}/a": [busy, Reply(429, retry_after="1"), busy], f"{HERE}/b": [Reply(200, "yes")]})
    for path in ("a", "b"):
        with pytest.raises(RateLimitedError, match="--max-wait 81"):
            await run.values(f"{HERE}/{path}")
    assert (run.clock.sleeps, run.upstream.asked) == ([40, 1], [f"{HERE}/a"] * 3)


async def test_a_rate_limit_longer_than_patience_stops_the_service() -> None:
    run = Run({f"{HERE}/a": [Reply(429, retry_after="61")], f"{HERE}/b": [Reply(200, "yes")]})
    for path in ("a", "b"):
        with pytest.raises(RateLimitedError, match="--max-wait 61"):
            await run.values(f"{HERE}/{path}")
    assert (run.upstream.asked, run.clock.sleeps) == ([f"{HERE}/a"], [])


async def test_a_rate_limit_of_one_service_does_not_stop_another() -> None:
    run = Run({f"{HERE}/a": [Reply(429, retry_after="61")], f"{THERE}/a": [Reply(200, "yes")]})
    with pytest.raises(RateLimitedError):
        await run.values(f"{HERE}/a")
    assert (await run.fetch(ask(f"{THERE}/a", service="another"))).value == "yes"
    assert sorted(run.fetch.gates) == ["another", "service"]


async def test_a_refused_token_is_met_once() -> None:
    run = Run({f"{HERE}/a": [Reply(401)], f"{HERE}/b": [Reply(200, "yes")]})
    for path in ("a", "b"):
        with pytest.raises(TokenRefusedError):
            await run.values(f"{HERE}/{path}", token=TOKEN)
    assert run.upstream.asked == [f"{HERE}/a"]


async def test_quota_and_requests_are_counted_at_the_gate() -> None:
    told = {"x_ratelimit_limit": "60", "x_ratelimit_remaining": "59", "x_ratelimit_reset": "1767225600"}
    run = Run({f"{HERE}/a": [Reply(301, location="/b", **told)], f"{HERE}/b": [Reply(200, "yes")]})
    await run.values(f"{HERE}/a")
    gate = run.fetch.gates["service"]
    assert gate.costs == {"": Cost(sent=2, charged=2)}
    assert gate.quotas == {"": Quota(60, 59, datetime(2026, 1, 1, tzinfo=UTC))}


async def test_a_service_without_a_number_is_asked_one_by_one() -> None:
    upstream = Upstream({f"{HERE}/a": [Reply(200, "yes")]})
    fetch = Fetcher(upstream, JumpingClock(START), policy=RetryPolicy(), patience=Patience(0), rules={})
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(fetch(ask(f"{HERE}/a")))
    assert (upstream.most, len(upstream.asked)) == (1, 4)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        f"{HERE}/repositories/1",
        "/repositories/1",
        "https://HERE.example:443/repositories/1",
        "../repositories/1",
    ],
)
async def test_a_redirect_on_the_same_origin_is_followed_with_the_token(status: int, location: str) -> None:
    urls = {f"{HERE}/repositories/1", "https://HERE.example:443/repositories/1"}
    run = Run(
        {f"{HERE}/repos/a": [Reply(status, location=location)], **{url: [Reply(200, "yes")] for url in urls}}
    )
    assert await run.values(f"{HERE}/repos/a", token=TOKEN) == ["yes"]
    assert len(run.upstream.signed) == 2


@pytest.mark.parametrize(
    "location",
    [
        f"{THERE}/a",
        "//there.example/a",
        "https://here.example:8443/a",
        "https://here.example.evil.example/a",
        "https://here.example@there.example/a",
    ],
)
async def test_a_token_is_never_taken_to_another_origin(location: str) -> None:
    run = Run({f"{HERE}/a": [Reply(302, location=location)]})
    with pytest.raises(RedirectError, match="the token does not go there") as caught:
        await run.values(f"{HERE}/a", token=TOKEN)
    assert run.upstream.asked == [f"{HERE}/a"]
    assert TOKEN.reveal() not in str(caught.value)


@pytest.mark.parametrize("mover", ["service", "another"], ids=["of the same service", "of another service"])
async def test_a_remembered_move_takes_no_token_along(mover: str) -> None:
    run = Run(
        {
            f"{HERE}/a": [Reply(301, location=f"{THERE}/a")],
            f"{THERE}/a": [Reply(200, "a")],
            f"{HERE}/b": [Reply(200, "b")],
            f"{THERE}/b": [Reply(200, "stolen")],
        }
    )
    assert (await run.fetch(ask(f"{HERE}/a", service=mover))).value == "a"
    assert await run.values(f"{HERE}/b", token=TOKEN) == ["b"]
    assert run.upstream.signed == [f"{HERE}/b"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_without_a_token_a_redirect_to_another_origin_is_followed(status: int) -> None:
    run = Run(
        {f"{HERE}/a": [Reply(status, location=f"{THERE}/b?c=d")], f"{THERE}/b?c=d": [Reply(200, "yes")]}
    )
    assert await run.values(f"{HERE}/a") == ["yes"]
    assert run.upstream.asked == [f"{HERE}/a", f"{THERE}/b?c=d"]


@pytest.mark.parametrize(
    ("status", "location", "second"),
    [
        pytest.param(301, f"{THERE}/a?x=1", [f"{THERE}/b?y=2"], id="moved permanently"),
        pytest.param(308, f"{THERE}/a?x=1", [f"{THERE}/b?y=2"], id="permanent redirect"),
        pytest.param(301, f"{THERE}/a?x=1#top", [f"{THERE}/b?y=2"], id="with a fragment"),
        pytest.param(302, f"{THERE}/a?x=1", [f"{HERE}/b?y=2"], id="found"),
        pytest.param(303, f"{THERE}/a?x=1", [f"{HERE}/b?y=2"], id="see other"),
        pytest.param(307, f"{THERE}/a?x=1", [f"{HERE}/b?y=2"], id="temporary redirect"),
        pytest.param(301, f"{THERE}/new/a?x=1", [f"{HERE}/b?y=2"], id="another path"),
        pytest.param(301, f"{THERE}/a", [f"{HERE}/b?y=2"], id="the query left out"),
        pytest.param(301, f"{THERE}/a?x=2", [f"{HERE}/b?y=2"], id="another query"),
    ],
)
async def test_only_a_permanent_move_of_the_origin_alone_is_remembered(
    status: int, location: str, second: list[str]
) -> None:
    run = Run(
        {
            f"{HERE}/a?x=1": [Reply(status, location=location)],
            location.partition("#")[0]: [Reply(200, "a")],
            f"{HERE}/b?y=2": [Reply(200, "b")],
            f"{THERE}/b?y=2": [Reply(200, "b")],
        }
    )
    assert await run.values(f"{HERE}/a?x=1", f"{HERE}/b?y=2") == ["a", "b"]
    assert run.upstream.asked == [f"{HERE}/a?x=1", location.partition("#")[0], *second]


async def test_five_redirects_are_followed_and_a_sixth_is_not() -> None:
    chain = {f"{HERE}/{number}": [Reply(302, location=f"/{number + 1}")] for number in range(5)}
    run = Run({**chain, f"{HERE}/5": [Reply(200, "yes")]})
    assert await run.values(f"{HERE}/0") == ["yes"]
    run = Run({**chain, f"{HERE}/5": [Reply(302, location="/6")], f"{HERE}/6": [Reply(200, "never")]})
    with pytest.raises(RedirectError):
        await run.values(f"{HERE}/0")
    assert run.upstream.asked == [f"{HERE}/{number}" for number in range(6)]


@pytest.mark.parametrize("status", [301, 302])
@pytest.mark.parametrize("locations", [("/a", "/a"), ("/b", "/a"), (f"{THERE}/a", f"{HERE}/a")], ids=repr)
async def test_a_circle_is_left_and_left_again_by_the_next_request(
    status: int, locations: tuple[str, str]
) -> None:
    there, back = (Reply(status, location=location) for location in locations)
    run = Run({f"{HERE}/a": [there], f"{HERE}/b": [back], f"{THERE}/a": [back]})
    for _ in range(2):
        with pytest.raises(RedirectError, match="circle"):
            await run.values(f"{HERE}/a")
    assert len(run.upstream.asked) == 12


@pytest.mark.parametrize("token", [None, TOKEN], ids=["no token", "token"])
@pytest.mark.parametrize(
    "location",
    [
        pytest.param("http://here.example/a", id="https to http"),
        pytest.param("ftp://here.example/a", id="ftp"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("javascript:alert(1)", id="javascript"),
        pytest.param("data:text/plain,x", id="data"),
        pytest.param("http://", id="no host"),
        pytest.param("https://here.example:99999/a", id="a port out of range"),
        pytest.param("https://here.example:port/a", id="a port that is no number"),
        pytest.param("https://[::1/a", id="half an address"),
        pytest.param("https://[here]/a", id="brackets around a name"),
        pytest.param("//[", id="half a bracket"),
        pytest.param("https://here\u2100.example/a", id="a letter that unfolds to a slash"),
    ],
)
async def test_a_redirect_to_no_place_is_refused(location: str, token: Token | None) -> None:
    run = Run({f"{HERE}/a": [Reply(301, location=location)]})
    with pytest.raises(RedirectError, match=r"^here\.example redirects to "):
        await run.values(f"{HERE}/a", token=token)
    assert run.upstream.asked == [f"{HERE}/a"]


async def test_the_scheme_is_told_by_its_meaning_not_its_spelling() -> None:
    run = Run({"HTTPS://here.example/a": [Reply(301, location="http://here.example/b")]})
    with pytest.raises(RedirectError):
        await run.values("HTTPS://here.example/a")
    assert len(run.upstream.asked) == 1


async def test_http_may_be_left_for_https() -> None:
    run = Run({"http://here.example/a": [Reply(301, location=f"{HERE}/a")], f"{HERE}/a": [Reply(200, "yes")]})
    assert await run.values("http://here.example/a") == ["yes"]


async def test_an_empty_location_is_the_same_address() -> None:
    run = Run({f"{HERE}/a": [Reply(302, location=""), Reply(200, "yes")]})
    assert await run.values(f"{HERE}/a") == ["yes"]


async def test_a_fragment_is_not_sent() -> None:
    run = Run({f"{HERE}/a": [Reply(302, location="/b#files")], f"{HERE}/b": [Reply(200, "yes")]})
    assert await run.values(f"{HERE}/a") == ["yes"]
    assert run.upstream.asked == [f"{HERE}/a", f"{HERE}/b"]


@pytest.mark.parametrize(
    ("status", "headers"), [(301, {}), (304, {"location": "/b"}), (300, {"location": "/b"})], ids=repr
)
async def test_what_is_no_redirect_reaches_the_judge(status: int, headers: dict[str, str]) -> None:
    run = Run({f"{HERE}/a": [Reply(status, **headers)]})
    with pytest.raises(NotFoundError, match=f"answered {status}"):
        await run.values(f"{HERE}/a")
    assert run.upstream.asked == [f"{HERE}/a"]


async def test_a_retry_begins_at_the_first_address() -> None:
    run = Run({f"{HERE}/a": [Reply(302, location="/b")], f"{HERE}/b": [Reply(503), Reply(200, "yes")]})
    assert await run.values(f"{HERE}/a") == ["yes"]
    assert run.upstream.asked == [f"{HERE}/a", f"{HERE}/b"] * 2


def told(remaining: int, reset: datetime) -> dict[str, str]:
    seconds = str(int(reset.timestamp()))
    return {
        "x_ratelimit_limit": "60",
        "x_ratelimit_remaining": str(remaining),
        "x_ratelimit_reset": seconds,
        "date": "Sun, 15 Feb 2026 12:00:00 GMT",
    }


async def test_after_the_last_request_of_a_limit_the_next_one_is_not_sent_before_the_reset() -> None:
    run = Run({f"{HERE}/a": [Reply(200, "yes", **told(0, START + timedelta(seconds=30)))]})
    assert await run.values(f"{HERE}/a", f"{HERE}/a") == ["yes"] * 2
    assert (run.clock.sleeps, len(run.upstream.asked), run.patience.left) == ([31], 2, 29)


async def test_after_the_last_request_of_a_limit_nothing_is_sent_in_vain() -> None:
    run = Run({f"{HERE}/a": [Reply(200, "yes", **told(0, START + timedelta(hours=1)))]})
    assert await run.values(f"{HERE}/a") == ["yes"]
    for _ in range(2):
        with pytest.raises(RateLimitedError, match=r"used up\. Run again .* --max-wait 3601\. Set a token$"):
            await run.values(f"{HERE}/a")
    assert (len(run.upstream.asked), run.clock.sleeps) == (1, [])


async def test_requests_of_a_resource_keep_to_its_pace() -> None:
    run = Run({f"{HERE}/a": [Reply(200, "yes")]}, patience=0, per_minute={"core": 2})
    for _ in range(5):
        await run.fetch(replace(ask(f"{HERE}/a"), resource="core"))
        await run.fetch(replace(ask(f"{HERE}/a"), resource="graphql"))
    assert run.clock.sleeps == [61, 61]
    assert run.fetch.gates["service"].costs == {"core": Cost(5, 5), "graphql": Cost(5, 5)}


@pytest.mark.parametrize(
    ("points", "replies", "cost"),
    [
        pytest.param(1, [Reply(200, "yes")], Cost(1, 1), id="one point"),
        pytest.param(3, [Reply(200, "yes")], Cost(1, 3), id="several points"),
        pytest.param(0, [Reply(200, "yes")], Cost(1, 0), id="no points"),
        pytest.param(3, [Reply(503), Reply(200, "yes")], Cost(2, 4), id="a failure is a point"),
        pytest.param(1, [UnreachableError("gone"), Reply(200, "yes")], Cost(2, 1), id="no answer is none"),
        pytest.param(1, [Reply(200, "yes", Origin.REVALIDATED)], Cost(1, 0), id="nothing new with a token"),
    ],
)
async def test_a_run_knows_what_its_requests_cost(
    points: int, replies: list[Reply | UpstreamError], cost: Cost
) -> None:
    run = Run({f"{HERE}/a": replies})
    await run.fetch(replace(ask(f"{HERE}/a", TOKEN), points=lambda _: points))
    assert run.fetch.gates["service"].costs == {"": cost}


async def test_what_is_stored_costs_nothing() -> None:
    run = Run({f"{HERE}/a": [Reply(200, "yes", Origin.STORE)]})
    await run.fetch(replace(ask(f"{HERE}/a"), points=lambda _: 5))
    assert run.fetch.gates["service"].costs == {}


async def test_a_replay_waits_for_no_turn() -> None:
    spent = Reply(200, "yes", **told(0, START + timedelta(hours=1)))
    run = Run({f"{HERE}/a": [spent]}, patience=0, per_minute={"": 1}, replaying=True)
    assert await run.values(*[f"{HERE}/a"] * 3) == ["yes"] * 3
    assert run.clock.sleeps == []


async def test_after_a_hurried_refusal_fewer_are_under_way() -> None:
    run = Run({f"{HERE}/a": [Reply(429, hurried="yes", retry_after="1"), Reply(200, "yes")]}, at_once=4)
    await run.values(f"{HERE}/a")
    run.upstream.most = 0
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(run.values(f"{HERE}/a"))
    assert run.upstream.most == 2


# A service that is down.


async def outcomes(run: Run, count: int, at_once: int = 8) -> list[UpstreamError | str]:
    """Return what comes of so many requests to different addresses, some of them at once."""
    urls = iter([f"{HERE}/{number}" for number in range(count)])
    found: list[UpstreamError | str] = []

    async def work() -> None:
        for url in urls:
            try:
                found.append((await run.fetch(ask(url))).value)
            except UpstreamError as error:
                found.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    return found


@pytest.mark.parametrize(
    "reply", [UnreachableError("gone"), Reply(503), Reply(599)], ids=["no connection", "503", "599"]
)
@pytest.mark.parametrize("at_once", [1, 8])
async def test_a_service_that_is_down_is_left_alone_whatever_the_number_of_targets(
    reply: Reply | UpstreamError, at_once: int
) -> None:
    run = Run({f"{HERE}/{number}": [reply] for number in range(3000)})
    found = await outcomes(run, 3000, at_once)
    assert len(run.upstream.asked) < 150
    assert run.clock.monotonic() < 60
    last = found[-1]
    assert isinstance(last, DownError)
    assert [error for error in found[150:] if error is not last] == []
    assert last.retryable
    assert last.advice == "Try again later"
    assert last.message.startswith("service has failed ")


async def test_what_the_rest_of_the_run_is_told_does_not_grow_with_it() -> None:
    run = Run({f"{HERE}/{number}": [UntrustedError("forged")] for number in range(500)})
    found = await outcomes(run, 500, 1)
    last = found[-1]
    assert isinstance(last, DownError)
    assert len(traceback.extract_tb(last.__traceback__)) < 30


async def test_the_errors_that_a_run_keeps_do_not_hold_the_answers() -> None:
    run = Run({f"{HERE}/{number}": [Reply(404, "x" * 2**18)] for number in range(200)})
    tracemalloc.start()
    try:
        found = await outcomes(run, 200)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(isinstance(error, UpstreamError) for error in found) == 200
    assert held < 2**21  # some of the answers together


async def test_what_asking_again_cannot_mend_is_met_twenty_times() -> None:
    run = Run({f"{HERE}/{number}": [UntrustedError("forged")] for number in range(500)})
    found = await outcomes(run, 500, 1)
    assert run.upstream.asked == [f"{HERE}/{number}" for number in range(20)]
    assert all(isinstance(error, DownError) for error in found[19:])


@pytest.mark.parametrize("reply", [Reply(200), Reply(302), Reply(403), Reply(404), OversizedError("big")])
async def test_any_answer_below_500_begins_the_count_anew(reply: Reply | UpstreamError) -> None:
    gone = UnreachableError("gone")
    here = {f"{HERE}/{number}": [gone] for number in range(40)}
    run = Run({**here, **{f"{HERE}/{number}": [reply] for number in range(4, 40, 5)}})
    found = await outcomes(run, 40, 1)
    assert len(run.upstream.asked) == 32 * 4 + 8
    assert not any(isinstance(error, DownError) for error in found)


async def test_what_is_stored_is_no_answer_of_the_service() -> None:
    gone = UnreachableError("gone")
    stored = Reply(200, "yes", Origin.STORE)
    run = Run({f"{HERE}/{number}": [stored if number % 2 else gone] for number in range(200)})
    found = await outcomes(run, 200, 1)
    assert isinstance(found[-2], DownError)
    assert isinstance(found[-1], DownError)


async def test_a_service_that_is_down_does_not_stop_another() -> None:
    run = Run({f"{HERE}/{number}": [UntrustedError("forged")] for number in range(30)})
    run.upstream.replies[f"{THERE}/a"] = [Reply(200, "yes")]
    await outcomes(run, 30, 1)
    assert (await run.fetch(ask(f"{THERE}/a", service="another"))).value == "yes"


async def test_a_replay_meets_what_was_recorded_however_often_it_failed() -> None:
    run = Run({f"{HERE}/{number}": [UntrustedError("forged")] for number in range(50)}, replaying=True)
    found = await outcomes(run, 50, 1)
    assert [type(error) for error in found] == [UntrustedError] * 50


async def test_a_version_that_is_retired_stops_the_service_and_is_not_stored() -> None:
    kept: list[str] = []

    class Listed(Forgetful):
        def keep(self, request: Request[T], _: Response, /) -> None:
            kept.append(request.url)

    def retired(response: Response) -> str:
        raise RetiredError(f"{response.host} does not answer this version")

    upstream = Upstream({f"{HERE}/a": [Reply(410)], f"{HERE}/b": [Reply(410)]})
    fetch = Fetcher(
        upstream, JumpingClock(START), policy=RetryPolicy(), patience=Patience(0), rules={}, memory=Listed()
    )
    for path in ("a", "b"):
        with pytest.raises(RetiredError):
            await fetch(replace(ask(f"{HERE}/{path}"), judge=retired))
    assert (upstream.asked, kept) == ([f"{HERE}/a"], [])
