from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import pytest

from exporter.emulator import (
    Account,
    ClockOptions,
    Emulator,
    EmulatorOptions,
    FixedWorld,
    ListenOptions,
    PagingOptions,
    QuotaOptions,
    Size,
    serve,
)
from exporter.timestamps import read_us
from tests.support.worlds import world_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARN = "arn:aws:ivs:us-east-1:111122223333:stage/fixed"
SESSION = "st-0123456789abc"
RAW = b'{"name":"LEFT","participantId":"p","name":"LEFT","eventTime":1e3}'
STAGES = [
    {
        "arn": ARN,
        "name": "fixed",
        "sessions": [
            {
                "sessionId": SESSION,
                "startTime": "2025-12-01T00:00:00Z",
                "participants": [
                    {
                        "participantId": "p",
                        "published": True,
                        "details": {"attributes": {"a": "b"}},
                        "events": [{"name": "STRANGE", "participantId": "p"}, RAW, b"not JSON"],
                    }
                ],
            }
        ],
    }
]
UNIT = {"stageArn": ARN, "sessionId": SESSION, "participantId": "p"}


def micros_of(text: str) -> int:
    moment_us = read_us(text)
    assert moment_us is not None
    return moment_us


async def control(asker: Any, method: str, name: str, sent: object = None) -> tuple[int, Any]:
    data = b"" if sent is None else json.dumps(sent).encode()
    async with asker.http.request(method, f"{asker.emulator.url}/_emulator/{name}", data=data) as response:
        return response.status, await response.json()


async def test_the_clock_can_be_moved(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """The clock is shown, set and advanced, and answers are dated by it."""
    async with Emulator(options_of()) as emulator:
        asker = ask(emulator)
        await control(asker, "POST", "clock", {"set_us": 1_700_000_000_000_000})
        status, shown = await control(asker, "POST", "clock", {"advance_s": 90.5})
        assert (status, shown["now_us"]) == (200, 1_700_000_090_500_000)
        assert (await control(asker, "GET", "clock"))[1] == shown
        assert (await asker.raw("ListStages"))[1]["Date"] == shown["date"] == "Tue, 14 Nov 2023 22:14:50 GMT"
        assert (await control(asker, "POST", "clock", {"advance": 1}))[0] == 400
        assert (await control(asker, "POST", "clock", {"advance_s": "1"}))[0] == 400
        for beyond in (
            {"set_us": 10**18},
            {"set_us": 1e30},
            {"set_us": -1},
            {"advance_s": 1e308},
            {"advance_s": -1e12},
        ):
            assert (await control(asker, "POST", "clock", beyond))[0] == 400, beyond
        assert (await control(asker, "GET", "clock"))[1] == shown, "what is refused changes nothing"


async def test_the_clock_can_go_back(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """What is shown after the clock was set back is what was shown at that moment, and not what came later."""
    world = {"stages": 1, "sessions": Size.fixed(1), "events": Size.fixed(40), "active_share": 0.0}
    async with Emulator(options_of(world)) as emulator:
        asker = ask(emulator)
        later = await asker.everything()
        (session,) = await asker.whole("ListStageSessions", "stageSessions", stageArn=later[0][0])
        emulator.clock.set((micros_of(session["startTime"]) + micros_of(session["endTime"])) // 2)
        before = await asker.everything()
        assert before == list(emulator.truth().events())
    assert 0 < len(before) < len(later)


async def test_a_running_clock_runs_with_real_time(options_of: Callable[..., Any]) -> None:
    """A running clock goes on from where it was set as fast as real time; a frozen one does not."""
    now_s = [5.0]
    running = Emulator(options_of(clock=ClockOptions()), monotonic_s=lambda: now_s[0])
    frozen = Emulator(options_of(), monotonic_s=lambda: now_s[0])
    now_s[0] += 1.0
    running.clock.set(1_000_000)
    frozen.clock.set(1_000_000)
    now_s[0] += 2.5
    assert (running.clock.now_us, frozen.clock.now_us) == (3_500_000, 1_000_000)


async def test_the_quota_can_be_changed(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """The rate is shown with its counts, and a new one holds from then on."""
    now_s = [0.0]
    async with Emulator(options_of(quota=QuotaOptions(burst=1)), monotonic_s=lambda: now_s[0]) as emulator:
        asker = ask(emulator)
        assert [(await asker.raw("ListStages"))[0] for _ in range(2)] == [200, 429]
        _, shown = await control(asker, "POST", "quota", {"calls_per_second": 100})
        assert (shown["calls_per_second"], shown["burst"], shown["buckets"][0]["throttled"]) == (100, 1, 1)
        now_s[0] += 0.01
        assert (await asker.raw("ListStages"))[0] == 200
        assert (await control(asker, "POST", "quota", {"calls_per_second": 0}))[0] == 400
        assert (await control(asker, "POST", "quota", {"rate": 1}))[0] == 400


async def test_calls_are_counted_by_page(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """The log counts how often each page was asked for and answered, and begins anew at a POST."""
    world = {"stages": 60, "sessions": Size.fixed(0)}
    async with Emulator(options_of(world, faults=("server_error first=1",))) as emulator:
        asker = ask(emulator)
        await asker.raw("ListStages")
        await asker.whole("ListStages", "stages")
        await asker.raw("ListStages", maxResults=0)
        _, shown = await control(asker, "GET", "calls")
        assert shown["granted"] == {"ListStages": 4}
        assert [(page["offset"], page["turn"], page["asked"], page["answered"]) for page in shown["pages"]] == [
            (0, 0, 2, 1),
            (50, 1, 1, 1),
        ]
        assert (await control(asker, "POST", "calls"))[1] == {"granted": {}, "pages": []}


async def test_truth_is_streamed(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """The endpoint streams the events that the process itself has, of all scopes or of one."""
    async with Emulator(options_of(regions=("us-east-1", "eu-west-1"))) as emulator:
        lines = {}
        for query in ("", "?region=eu-west-1", "?account=999999999999"):
            async with ask(emulator).http.get(f"{emulator.url}/_emulator/truth{query}") as response:
                lines[query] = [json.loads(line) for line in (await response.text()).splitlines()]
        whole, one = list(emulator.truth().events()), list(emulator.truth(region="eu-west-1").events())
    assert [tuple(line.values()) for line in lines[""]] == whole
    assert [tuple(line.values()) for line in lines["?region=eu-west-1"]] == one
    assert 0 < len(one) < len(whole)
    assert lines["?account=999999999999"] == []


async def test_what_there_is_not_is_404(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """An unknown endpoint or method is refused, and info shows no secret."""
    async with Emulator(options_of(accounts=(Account(secret="hidden"),))) as emulator:
        assert (await control(ask(emulator), "GET", "nothing"))[0] == 404
        assert (await control(ask(emulator), "DELETE", "clock"))[0] == 404
        status, info = await control(ask(emulator), "GET", "info")
    assert (status, info["accounts"], info["regions"]) == (200, ["111122223333"], ["us-east-1"])
    assert "hidden" not in json.dumps(info)


async def test_a_fixed_world_is_shown_as_given(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """A scripted world's lists are shown as they are, and raw events byte by byte."""
    worlds = {("111122223333", "us-east-1"): FixedWorld(STAGES)}
    async with Emulator(options_of(), worlds) as emulator:
        asker = ask(emulator)
        assert await asker.page("ListStages") == {"stages": [{"arn": ARN, "name": "fixed"}]}
        sessions = await asker.page("ListStageSessions", stageArn=ARN)
        assert sessions == {"stageSessions": [{"sessionId": SESSION, "startTime": "2025-12-01T00:00:00Z"}]}
        shown = await asker.page("GetParticipant", **UNIT)
        assert shown == {"participant": {"participantId": "p", "published": True, "attributes": {"a": "b"}}}
        _, _, body = await asker.raw("ListParticipantEvents", **UNIT, maxResults=2)
        assert body.startswith(b'{"events":[{"name":"STRANGE","participantId":"p"},' + RAW + b'],"nextToken":"')
        assert (await asker.refusal("ListParticipantEvents", **{**UNIT, "participantId": "q"}))[0] == 404
        events = [event for *_, event in emulator.truth().events()]
    assert events == [{"name": "STRANGE", "participantId": "p"}, msgspec.json.decode(RAW), b"not JSON"]


async def test_a_fixed_world_may_change(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """What a test changes in its data is shown by the next call."""
    events: list[dict[str, str]] = [{"name": "JOINED"}]
    session = {"sessionId": SESSION, "participants": [{"participantId": "p", "events": events}]}
    worlds = {("111122223333", "us-east-1"): FixedWorld([{"arn": ARN, "sessions": [session]}])}
    async with Emulator(options_of(), worlds) as emulator:
        before = await ask(emulator).page("ListParticipantEvents", **UNIT)
        events.append({"name": "LEFT"})
        after = await ask(emulator).page("ListParticipantEvents", **UNIT)
    assert [len(page["events"]) for page in (before, after)] == [1, 2]


async def test_it_serves_tls(tmp_path: Path, options_of: Callable[..., Any]) -> None:
    """With a certificate the address is HTTPS, and a client that trusts it is served."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(made, check=True, capture_output=True)  # noqa: ASYNC221 - our own command, once
    trust = ssl.create_default_context(cafile=str(certificate))
    async with (
        Emulator(options_of(listen=ListenOptions(tls=(certificate, key)))) as emulator,
        aiohttp.ClientSession() as http,
    ):
        assert emulator.url.startswith("https://127.0.0.1:")
        async with http.get(f"{emulator.url}/_emulator/info", ssl=trust) as response:
            assert response.status == 200


def test_serve_ends_with_a_signal() -> None:
    """The blocking server reports its address once it is reachable, and ends at SIGTERM."""
    urls = []

    def ready(emulator: Emulator) -> None:
        urls.append(emulator.url)
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)

    serve(EmulatorOptions(), ready)
    assert urls[0].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"regions": ("mars",)}, "mars is no name of an AWS region"),
        ({"accounts": ()}, "one account at least"),
        ({"accounts": (Account(), Account())}, "share an access key"),
        ({"accounts": (Account(account_id="12"),)}, "12 digits"),
    ],
)
def test_wrong_options_are_named(wrong: dict[str, Any], said: str) -> None:
    """A ValueError says which option is wrong."""
    with pytest.raises(ValueError, match=said):
        EmulatorOptions(**wrong)


def test_a_page_tokens_life_is_more_than_nothing() -> None:
    """A ValueError says that it is not."""
    with pytest.raises(ValueError, match="token_life_s"):
        PagingOptions(token_life_s=0.0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seed": -1}, "seed"),
        ({"days": 0.0}, "days"),
        ({"stages": -1}, "stages"),
        ({"sessions": Size.fixed(400_000)}, "no room"),
        ({"start_us": 1}, "whole second"),
        ({"active_share": 1.1}, "active_share"),
        ({"sleepless_share": 1.1}, "sleepless_share"),
        ({"lag_s": -1.0}, "lag_s"),
        ({"retention_days": -1.0}, "retention_days"),
    ],
)
def test_wrong_sizes_of_a_world_are_named(wrong: dict[str, Any], said: str) -> None:
    """A ValueError says which option of the world is wrong."""
    with pytest.raises(ValueError, match=said):
        world_options(**wrong)


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (JSON, 200),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({**JSON, "Sec-Fetch-Site": "same-origin"}, 200),
        ({**JSON, "Sec-Fetch-Site": "none"}, 200),
        ({**JSON, "Origin": "https://example.org"}, 403),
        ({**JSON, "Origin": "http://127.0.0.1:1"}, 403),
        ({**JSON, "Origin": "null"}, 403),
        ({**JSON, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**JSON, "Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "Text/Plain;charset=UTF-8"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": ""}, 415),
    ],
)
async def test_a_web_page_does_not_set_the_clock(
    headers: dict[str, str], status: int, ask: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """What a browser sends for another site is refused, and so is a body of the types that it sends unasked."""
    async with Emulator(options_of()) as emulator:
        before_us = emulator.clock.now_us
        url, body = f"{emulator.url}/_emulator/clock", b'{"set_us": 1700000000000000}'
        async with ask(emulator).http.post(url, data=body, headers=headers) as response:
            assert response.status == status
        assert (emulator.clock.now_us == before_us) is (status != 200)


async def test_a_page_of_the_emulators_own_is_answered(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """The origin may be the emulator's own, and a page of another site may not even look."""
    async with Emulator(options_of()) as emulator:
        http, url = ask(emulator).http, f"{emulator.url}/_emulator/truth"
        async with http.get(url, headers={"Origin": emulator.url}) as response:
            assert response.status == 200
        async with http.get(url, headers={"Origin": "https://example.org"}) as response:
            assert response.status == 403


@pytest.mark.parametrize(
    ("host", "is_answered"),
    [
        ("127.0.0.1:80", True),
        ("127.9.9.9", True),
        ("LOCALHOST:4599", True),
        ("ivs.us-east-1.localhost", True),
        ("[::1]:80", True),
        ("example.org", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org:80", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
async def test_only_names_of_this_machine_are_answered(
    host: str, is_answered: bool, ask: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """A foreign name that points at this machine gets neither the service nor the emulator's own endpoints."""
    async with Emulator(options_of()) as emulator:
        http = ask(emulator).http
        async with http.get(f"{emulator.url}/_emulator/info", headers={"Host": host}) as response:
            assert response.status == (200 if is_answered else 403)
        async with http.post(f"{emulator.url}/ListStages", data=b"{}", headers={"Host": host}) as response:
            answered = json.loads(await response.read())
            assert ("its own machine" in answered.get("message", "")) is not is_answered
