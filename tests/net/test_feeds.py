"""Values over time: the shapes that are read, what is wrong with others, and files and endpoints read again."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.controller.outlook import Curve
from forecourt.net.feeds import Feed, FeedError, FeedReader, curve_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANY = Feed(constant=0.0)
SHAPES = [
    "time,price\n2026-03-02T12:00:00+00:00,0.30\n2026-03-02 14:00:00+01:00,0.20\n",
    '[{"start": "2026-03-02T13:00:00Z", "value": 0.2}, {"start": "2026-03-02T12:00:00Z", "price": "0.3"}]',
    '{"rates": [{"start": "2026-03-02T12:00:00Z", "value": 0.3}, {"start": "2026-03-02T13:00:00Z", "value": 0.2}]}',
    '{"data": [{"start_timestamp": 1772452800000, "price": 0.3}, {"start_timestamp": 1772456400, "marketprice": 0.2}]}',
]


@pytest.mark.parametrize("text", SHAPES)
def test_shapes(text: str) -> None:
    curve = curve_of(text.encode(), ANY)
    assert [curve.at(NOON + timedelta(minutes=minutes)) for minutes in (0, 59, 60)] == [0.3, 0.3, 0.2]


WRONG = [
    ("", "line 1: expected the columns time and value, got ''"),
    (
        "time,price\n2026-03-02T12:00:00,1",
        "line 2: expected a time with its offset from UTC, got '2026-03-02T12:00:00'",
    ),
    ("time,price\n2026-03-02T12:00:00Z,x", "line 2: expected a number, got 'x'"),
    ("time,price\n1,2,3", "line 2: expected 2 fields, found 3"),
    ("time,price\n", "expected a value for each time, and at least one"),
    ("time,price\n2026-03-02T12:00:00Z,1\n2026-03-02T12:00:00Z,2", "expected times that rise"),
    ('{"x": 1}', "expected a list, or an object with one under rates, prices, data, result"),
    ('[{"start": "2026-03-02T12:00:00Z"}]', "[0]: expected start and value"),
    ("[1", "not JSON: Input data was truncated"),
]


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_what_is_wrong_is_told(text: str, told: str) -> None:
    with pytest.raises(FeedError) as caught:
        curve_of(text.encode(), ANY)
    assert str(caught.value) == told


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_nothing_is_too_strange(raw: bytes) -> None:
    with contextlib.suppress(FeedError):
        curve_of(raw, ANY)


async def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(SHAPES[0])
    taken: list[Curve] = []
    async with httpx.AsyncClient() as client:
        reader = FeedReader(Feed(file="prices.csv", scale=0.01, add=0.15).beside(tmp_path), "prices", client)
        await reader.read(taken.append)
        await reader.read(taken.append)
        assert [curve.at(NOON) for curve in taken] == [pytest.approx(0.153)]
        path.write_text("nonsense")
        await reader.read(taken.append)
        assert len(taken) == 1
        assert "prices: line 1" in caplog.text
        path.unlink()
        await reader.read(taken.append)
    assert len(caplog.records) == 1


async def test_an_endpoint_is_asked_with_its_etag() -> None:
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        asked.append(head)
        body = b"" if "if-none-match" in head else SHAPES[1].encode()
        status = "304 Not Modified" if not body else "200 OK"
        writer.write(
            f'HTTP/1.1 {status}\r\nETag: "1"\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n'.encode()
            + body
        )
        await writer.drain()
        writer.close()

    taken: list[Curve] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/prices"
        reader = FeedReader(Feed(url=url, headers={"X-Key": "k"}), "prices", client)
        await reader.read(taken.append)
        await reader.read(taken.append)
    assert len(taken) == 1
    assert "x-key: k" in asked[0]
    assert 'if-none-match: "1"' in asked[1]


async def test_a_constant_is_told_once() -> None:
    taken: list[Curve] = []
    async with httpx.AsyncClient() as client:
        reader = FeedReader(Feed(constant=0.3), "prices", client)
        await reader.read(taken.append)
        await reader.read(taken.append)
    assert [curve.at(NOON) for curve in taken] == [0.3]


def test_a_feed_comes_from_one_place() -> None:
    with pytest.raises(ValueError, match="expected one of file, url and constant"):
        Feed()
    assert "secret" not in repr(Feed(url="https://x.example", headers={"Authorization": "secret"}))
