"""The VEN against a VTN on real HTTP: credentials, pages, events; and what events come to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.allocation.demand import NodeLimit
from forecourt.controller.limits import Limits, TimedLimit
from forecourt.net.openadr import Event, OpenAdr, Ven, understood

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Vtn:
    """A small VTN: OAuth2 client credentials, and events in pages."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.issued = 0
        self.queries: list[dict[str, list[str]]] = []
        self.broken = False

    def answer(self, method: str, target: str, headers: dict[str, str], body: str) -> tuple[int, Any]:
        if self.broken:
            return 500, {"title": "out of order"}
        where = urlsplit(target)
        if (method, where.path) == ("POST", "/openadr3/auth/token"):
            form = parse_qs(body)
            if form != {"grant_type": ["client_credentials"], "client_id": ["ven"], "client_secret": ["s3cret"]}:
                return 401, {"title": "who?"}
            self.issued += 1
            token = f"token-{self.issued}"
            self.tokens.add(token)
            return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        if (method, where.path) == ("GET", "/openadr3/events"):
            if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                return 401, {"title": "who?"}
            query = parse_qs(where.query)
            self.queries.append(query)
            skip, limit = int(query["skip"][0]), int(query["limit"][0])
            return 200, self.events[skip : skip + limit]
        return 404, {"title": "what?"}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
            method, target, _ = first.split(" ")
            status, answer = self.answer(method, target, headers, body)
            raw = json.dumps(answer).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n".encode() + raw
            )
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def serving(vtn: Vtn) -> AsyncIterator[str]:
    server = await asyncio.start_server(vtn.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/openadr3"


def event(
    kind: str, *values: float, unit: str | None = None, priority: int | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "id": f"{kind}-{values}",
        "objectType": "EVENT",
        "programID": "p1",
        "priority": priority,
        "createdDateTime": "2026-03-02T10:00:00Z",
        "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": kind, "units": unit}],
        "intervalPeriod": {"start": "2026-03-02T12:00:00Z", "duration": "PT1H"},
        "intervals": [
            {"id": number, "payloads": [{"type": kind, "values": [value]}]} for number, value in enumerate(values)
        ],
    } | more


def said(*events: dict[str, Any]) -> Any:
    found = msgspec.json.decode(json.dumps(events).encode(), type=list[Event])
    return understood(found, simple_w=100_000.0, shares=(0.75, 0.5, 0.25))


def power_w(limits: tuple[TimedLimit, ...], hours: float) -> float | None:
    holding = [one.limit.power_w for one in limits if one.holds(START + timedelta(hours=hours))]
    assert len(holding) <= 1
    return holding[0] if holding else None


async def test_events_are_polled_with_credentials_and_in_pages() -> None:
    vtn = Vtn()
    vtn.events = [event("PRICE", float(number)) for number in range(120)]
    async with serving(vtn) as url, httpx.AsyncClient() as client:
        ven = Ven(OpenAdr(url=url, client_id="ven", client_secret="s3cret", program_id="p1"), client)
        events = await ven.poll()
        assert events is not None
        assert len(events) == 120
        assert {query["programID"][0] for query in vtn.queries} == {"p1"}
        await ven.poll()
        assert vtn.issued == 1
        vtn.tokens.clear()  # taken back: it asks for another one by itself
        assert await ven.poll() is not None
        assert vtn.issued == 2


async def test_a_vtn_that_fails_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    vtn = Vtn()
    vtn.broken = True
    async with serving(vtn) as url, httpx.AsyncClient() as client:
        ven = Ven(OpenAdr(url=url, client_id="ven", client_secret="s3cret"), client)
        assert await ven.poll() is None
        assert await ven.poll() is None
        told = [record for record in caplog.records if record.name == "forecourt.net.openadr"]
        assert len(told) == 1
        assert "s3cret" not in caplog.text
        vtn.broken = False
        assert await ven.poll() == []


async def test_wrong_credentials_are_told_without_them(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Vtn()) as url, httpx.AsyncClient() as client:
        settings = OpenAdr(url=url, client_id="ven", client_secret="wr0ng")
        assert await Ven(settings, client).poll() is None
    assert "401" in caplog.text
    assert "wr0ng" not in caplog.text + repr(settings)


def test_capacity_limits_follow_each_other() -> None:
    limits = said(event("IMPORT_CAPACITY_LIMIT", 30, 20, unit="KW")).limits
    assert [power_w(limits, hours) for hours in (-0.1, 0.0, 0.9, 1.0, 1.9, 2.0)] == [None, 30e3, 30e3, 20e3, 20e3, None]
    assert said(event("IMPORT_CAPACITY_LIMIT", 30_000, unit="W")).limits == limits[:1]


def test_a_better_event_covers_the_other_for_as_long_as_it_lasts() -> None:
    limits = said(
        event("IMPORT_CAPACITY_LIMIT", 50, intervalPeriod={"start": "2026-03-02T10:00:00Z", "duration": "P9999Y"}),
        event("IMPORT_CAPACITY_LIMIT", 70, priority=0),
    ).limits
    assert [power_w(limits, hours) for hours in (-3, -1, 0.5, 1.5, 9999)] == [None, 50e3, 70e3, 50e3, 50e3]


def test_simple_levels_leave_their_part() -> None:
    limits = said(event("SIMPLE", 0, 1, 2, 3)).limits
    assert [power_w(limits, hours) for hours in (0.5, 1.5, 2.5, 3.5)] == [None, 75e3, 50e3, 25e3]


def test_prices_become_a_curve() -> None:
    prices = said(event("PRICE", 0.30, 0.10)).prices
    assert [prices.at(START + timedelta(minutes=minutes)) for minutes in (0, 59, 60, 90)] == [0.30, 0.30, 0.10, 0.10]
    carbon = said(event("GHG", 400, unit="G/KWH")).carbon
    assert carbon.at(START) == pytest.approx(0.4)


def test_limits_of_events_hold_in_the_site_s_limits() -> None:
    limits = Limits()
    limits.put("OpenADR", "grid", said(event("IMPORT_CAPACITY_LIMIT", 30)).limits)
    assert limits.sources(START) == {("OpenADR", "grid"): NodeLimit(power_w=30_000.0)}
    assert limits.next_change(START) == START + timedelta(hours=1)


texts = st.text(max_size=20) | st.sampled_from(
    ["PT1H", "P1D", "2026-03-02T12:00:00Z", "0001-01-01T00:00:00Z", "P9999Y"]
)
periods = st.none() | st.fixed_dictionaries({}, optional={"start": texts, "duration": texts})
payloads = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["SIMPLE", "PRICE", "IMPORT_CAPACITY_LIMIT", "X"]),
        "values": st.lists(st.floats(-1e9, 1e9) | st.integers() | st.booleans() | st.text(max_size=3), max_size=2),
    }
)
anything = st.fixed_dictionaries(
    {
        "intervals": st.lists(
            st.fixed_dictionaries({"payloads": st.lists(payloads, max_size=2), "intervalPeriod": periods}), max_size=3
        )
    },
    optional={"priority": st.none() | st.integers(0, 9), "intervalPeriod": periods, "createdDateTime": texts},
)


@given(st.lists(anything, max_size=3))
def test_no_event_is_too_strange(events: list[dict[str, Any]]) -> None:
    found = said(*events)
    assert all(one.limit.power_w is not None and one.limit.power_w >= 0.0 for one in found.limits)
