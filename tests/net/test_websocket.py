"""An open connection: fragments, limits, what is forbidden, pings, back-pressure, farewells. Real sockets."""

import asyncio
import json
import struct

import pytest
from tests.net.peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Echo,
    Listen,
    Raw,
    Recorder,
    frame,
    until,
    within,
)
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from forecourt.net.client import connect
from forecourt.net.connection import Connection, Limits

OCPP = [Subprotocol("ocpp1.6")]


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def rtt_s(connection: Connection) -> float | None:
    """A call, as the type checker takes an attribute to stay what it was."""
    return connection.last_pong_rtt_s


# Messages


async def test_fragments_become_one_message(listen: Listen) -> None:
    house = await listen()
    async with websockets_connect(house.url(), subprotocols=OCPP, proxy=None) as client:
        recorder = await house.newest()
        await client.send(["[2,", '"1",', "", '"Heartbeat",{}]'])
        assert json.loads(await recorder.next()) == [2, "1", "Heartbeat", {}]
        await client.send("whole")
        assert await recorder.next() == b"whole"


async def test_a_ping_between_fragments_is_answered_at_once(listen: Listen) -> None:
    house = await listen()
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(TEXT, b"one ", fin=False) + frame(PING, b"now"))
        assert await raw.next(PONG) == b"now"
        raw.write(frame(CONTINUATION, b"message"))
        assert await (await house.newest()).next() == b"one message"


async def test_thousands_of_fragments(listen: Listen) -> None:
    house = await listen(limits=Limits(max_message_bytes=10_000))
    async with await Raw.upgraded(house) as raw:
        pieces = [frame(CONTINUATION, b"x", fin=False), frame(CONTINUATION, fin=False)] * 9_999
        raw.write(frame(TEXT, b"x", fin=False) + b"".join(pieces) + frame(CONTINUATION))
        assert await (await house.newest()).next() == b"x" * 10_000


async def test_one_byte_too_many_in_fragments(listen: Listen) -> None:
    house = await listen(limits=Limits(max_message_bytes=1_000))
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(TEXT, b"x" * 900, fin=False) + frame(CONTINUATION, b"x" * 100, fin=False))
        raw.write(frame(CONTINUATION, b"x"))
        assert await raw.close_code() == 1009
        raw.write(close_frame(1009))
        recorder = await house.newest()
        assert (await recorder.farewell())[0] == 1009
        assert recorder.messages.empty()


async def test_the_limit_itself_is_fine(listen: Listen) -> None:
    house = await listen(limits=Limits(max_message_bytes=100_000))
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(TEXT, b"x" * 100_000))
        assert await (await house.newest()).next() == b"x" * 100_000


async def test_a_frame_too_large_is_refused_by_its_header_alone(listen: Listen) -> None:
    house = await listen()
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(TEXT, size=1 << 40))
        assert await raw.close_code() == 1009
        assert await raw.rest() == b""
        assert (await (await house.newest()).farewell())[0] == 1009


async def test_a_frame_too_large_is_not_delivered_when_it_comes_nevertheless(listen: Listen) -> None:
    # picows has closed by then, but reads on for 10 ms.
    house = await listen()
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(TEXT, b"x" * 300_000) + frame(TEXT, b"y"))
        assert await raw.close_code() == 1009
        recorder = await house.newest()
        await recorder.farewell()
        assert recorder.messages.empty()


async def test_frames_may_be_limited_more_than_messages(listen: Listen) -> None:
    house = await listen(limits=Limits(max_message_bytes=1_000, max_frame_bytes=400))
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(TEXT, b"x" * 400, fin=False) + frame(CONTINUATION, b"x" * 400))
        assert await (await house.newest()).next() == b"x" * 800
        raw.write(frame(TEXT, b"x" * 401))
        assert await raw.close_code() == 1009


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame(BINARY, b"\x00\x01"), 1003),
        (frame(BINARY, b"\x00", fin=False), 1003),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(CONTINUATION, b"x", fin=False), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), 1003),
        (frame(3, b"x"), 1002),
        (frame(11, b"x"), 1002),
        (frame(TEXT, b"x", masked=False), 1002),
        (frame(TEXT, b"x", reserved=4), 1002),
        (frame(TEXT, b"x", reserved=2), 1002),
        (frame(PING, b"x", reserved=1), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (b"\x81\xfe\x00\x05\x00\x00\x00\x00hello", 1002),  # a length longer than need be
        (b"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x01", 1002),  # 2⁶³ and one
        (frame(CLOSE, b"\x03"), 1002),
        (close_frame(0), 1002),
        (close_frame(999), 1002),
        (close_frame(1004), 1002),
        (close_frame(1005), 1002),
        (close_frame(1006), 1002),
        (close_frame(1015), 1002),
        (close_frame(2999), 1002),
        (close_frame(5000), 1002),
        (close_frame(65535), 1002),
        (close_frame(1000, b"\xff"), 1007),
    ],
)
async def test_what_is_forbidden_closes(listen: Listen, wire: bytes, code: int) -> None:
    house = await listen()
    async with await Raw.upgraded(house) as raw:
        raw.write(wire)
        assert await raw.close_code() == code
        raw.write(close_frame(code))
        assert await raw.rest() == b""
        recorder = await house.newest()
        assert (await recorder.farewell())[0] == code
        assert recorder.messages.empty()


async def test_nothing_is_heard_after_a_violation(listen: Listen) -> None:
    house = await listen()
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(TEXT, b"good") + frame(BINARY) + frame(TEXT, b"late") + frame(PING) + frame(CONTINUATION))
        assert await raw.frame() == (CLOSE, b"\x03\xebOCPP messages are text")
        recorder = await house.newest()
        raw.write(frame(TEXT, b"later") + close_frame(1003))
        await recorder.farewell()
        assert await recorder.next() == b"good"
        assert recorder.messages.empty()


async def test_a_receiver_that_fails_loses_its_connection_only(
    listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    class Fragile(Echo):
        def message(self, data: bytes, /) -> None:
            if data == b"bad":
                raise RuntimeError("did not see that coming")
            super().message(data)

    house = await listen(receiver=Fragile)
    async with await Raw.upgraded(house) as one, await Raw.upgraded(house) as two:
        one.write(frame(TEXT, b"bad"))
        assert await one.close_code() == 1011
        two.write(frame(TEXT, b"ba", fin=False) + frame(CONTINUATION, b"r"))
        assert await two.next(TEXT) == b"bar"
        two.write(frame(TEXT, b"ba", fin=False) + frame(CONTINUATION, b"d"))
        assert await two.close_code() == 1011
    assert [str(r.exc_info[1]) for r in caplog.records if r.exc_info] == ["did not see that coming"] * 2


async def test_a_receiver_that_fails_at_the_farewell_is_still_gone(
    listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    class Sore(Recorder):
        def closed(self, code: int, reason: str, /) -> None:
            super().closed(code, reason)
            raise RuntimeError("sore loser")

    house = await listen(receiver=Sore)
    raw = await Raw.upgraded(house)
    recorder = await house.newest()
    raw.reset()
    await within(recorder.connection.wait_closed())
    assert house.server.connection_count == 0
    assert "sore loser" in caplog.text


# Pings


async def test_our_pings_are_answered_and_timed(listen: Listen) -> None:
    house = await listen(limits=Limits(ping_interval_s=0.5, pong_timeout_s=0.5))
    async with websockets_connect(house.url(), subprotocols=OCPP, proxy=None, ping_interval=None):
        connection = (await house.newest()).connection
        assert rtt_s(connection) is None
        await until(lambda: connection.last_pong_rtt_s is not None)
        assert 0 < (rtt_s(connection) or 0) < 10
        assert connection.is_open


async def test_silence_after_a_ping_ends_the_connection(listen: Listen) -> None:
    house = await listen(limits=Limits(ping_interval_s=0.1, pong_timeout_s=0.1))
    async with await Raw.upgraded(house) as raw:
        assert (await raw.frame())[0] == PING
        assert await raw.close_code() == 1008
        code, reason = await (await house.newest()).farewell()
        assert (code, reason) == (1006, "no sign of life within 0.1 s of a ping")


async def test_a_peer_that_talks_is_alive_even_without_pongs(listen: Listen) -> None:
    house = await listen(limits=Limits(ping_interval_s=0.5, pong_timeout_s=0.5))
    async with await Raw.upgraded(house) as raw:
        for _ in range(3):
            assert (await raw.frame())[0] == PING
            raw.write(frame(TEXT, b"busy"))
        recorder = await house.newest()
        assert recorder.connection.is_open
        assert recorder.connection.last_pong_rtt_s is None


async def test_an_unasked_pong_is_no_answer(listen: Listen) -> None:
    house = await listen()
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(PONG, b"\0\0\0\0") + frame(PONG) + frame(TEXT, b"x"))
        recorder = await house.newest()
        await recorder.next()
        assert recorder.connection.last_pong_rtt_s is None


async def test_pings_may_be_switched_off(listen: Listen) -> None:
    # OCPP 2.0.1 Part 4 §8.4: WebSocketPingInterval 0
    house = await listen(limits=Limits(ping_interval_s=0), receiver=Echo)
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(TEXT, b"x"))
        assert await raw.frame() == (TEXT, b"x")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(raw.reader.readexactly(1), 0.3)


async def test_pings_may_be_switched_on_and_off_while_it_lasts(listen: Listen) -> None:
    house = await listen(limits=Limits(ping_interval_s=0))
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        recorder.connection.ping_every(0.1)
        _, ping = await raw.frame()
        raw.write(frame(PONG, ping))
        await until(lambda: recorder.connection.last_pong_rtt_s is not None)
        recorder.connection.ping_every(0.0)
        await asyncio.sleep(0.3)
        assert recorder.connection.is_open
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(raw.reader.readexactly(1), 0.2)


async def test_pings_are_answered(listen: Listen) -> None:
    house = await listen()
    async with websockets_connect(house.url(), subprotocols=OCPP, proxy=None) as client:
        for _ in range(3):
            await within(await client.ping())


async def test_reading_paused_is_not_silence(listen: Listen) -> None:
    house = await listen(limits=Limits(ping_interval_s=0.5, pong_timeout_s=0.5))
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        ping = await raw.next(PING)
        recorder.connection.pause_reading()
        raw.write(frame(PONG, ping))
        await asyncio.sleep(1.2)  # the pong is there, but nobody reads
        assert recorder.connection.is_open
        recorder.connection.resume_reading()
        raw.write(frame(TEXT, b"still here"))
        assert await recorder.next() == b"still here"
        assert (rtt_s(recorder.connection) or 0) > 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"ping_interval_s": 5.0, "pong_timeout_s": 6.0},
        {"ping_interval_s": 5.0, "pong_timeout_s": 0.0},
        {"ping_interval_s": -1.0},
        {"close_timeout_s": 0.0},
        {"max_message_bytes": 0},
        {"max_write_buffer_bytes": 0},
    ],
)
def test_limits_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Limits(**wrong)  # type: ignore[arg-type]


# Back-pressure


async def test_a_slow_reader_is_noticed_and_waited_for(listen: Listen) -> None:
    house = await listen(limits=Limits(write_high_water_bytes=32 * 1024, max_write_buffer_bytes=64 * 1024 * 1024))
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        connection = recorder.connection
        sent = 0
        # Messages on both sides of picows' copy limit, in turn: the frames must come out whole and in order.
        while not connection.paused or sent < 200:
            connection.send(b"%6d " % sent + b"x" * (sent * 97 % 20_000))
            sent += 1
        assert connection.write_buffer_size > 32 * 1024
        assert recorder.writable_count == 0
        for number in range(sent):
            assert await raw.next(TEXT) == b"%6d " % number + b"x" * (number * 97 % 20_000)
        await until(lambda: recorder.writable_count == 1 and not connection.paused)
        assert connection.write_buffer_size < 32 * 1024


async def test_a_peer_that_never_reads_is_dropped_at_the_limit(listen: Listen) -> None:
    limits = Limits(max_write_buffer_bytes=512 * 1024)
    house = await listen(limits=limits)
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        connection = recorder.connection
        largest = 0
        while connection.is_open:
            connection.send(b"x" * 10_000)
            largest = max(largest, connection.write_buffer_size)
        assert largest < limits.max_write_buffer_bytes + 64 * 1024
        code, reason = await recorder.farewell()
        assert code == 1006
        assert "too slowly" in reason
        connection.send(b"into the void")
        await raw.rest()


async def test_pings_without_reading_grow_nothing(listen: Listen) -> None:
    house = await listen(limits=Limits(write_high_water_bytes=16 * 1024))
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        connection = recorder.connection
        while not connection.paused:
            connection.send(b"x" * 8_000)
        before = connection.write_buffer_size
        for number in range(2_000):
            raw.write(frame(PING, b"%0100d" % number))
        raw.write(frame(TEXT, b"last"))
        await raw.writer.drain()
        assert await recorder.next() == b"last"
        assert connection.write_buffer_size <= before
        assert await raw.next(PONG) == b"%0100d" % 1_999


async def test_reading_can_be_paused(listen: Listen) -> None:
    house = await listen()
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        raw.write(frame(TEXT, b"before"))
        assert await recorder.next() == b"before"
        recorder.connection.pause_reading()
        recorder.connection.pause_reading()
        # The kernel takes some, then the sender has to wait.
        raw.write(frame(TEXT, b"x" * 200_000) * 100)
        blocked = asyncio.ensure_future(raw.writer.drain())
        await asyncio.sleep(0.2)
        assert recorder.messages.empty()
        assert not blocked.done()
        recorder.connection.resume_reading()
        for _ in range(100):
            assert len(await recorder.next()) == 200_000
        await within(blocked)
        recorder.connection.resume_reading()


# Farewells


async def test_the_peers_farewell_is_answered_and_told(listen: Listen) -> None:
    house = await listen()
    async with websockets_connect(house.url(), subprotocols=OCPP, proxy=None) as client:
        recorder = await house.newest()
        await client.close(4000, "bye — ü")
        assert client.close_code == 4000
        assert await recorder.farewell() == (4000, "bye — ü")
        recorder.connection.close()
        recorder.connection.send(b"too late")
        recorder.connection.abort()
        await within(recorder.connection.wait_closed())


async def test_a_farewell_without_a_code(listen: Listen) -> None:
    house = await listen()
    async with await Raw.upgraded(house) as raw:
        raw.write(frame(CLOSE))
        assert await raw.close_code() == 1000
        assert await raw.rest() == b""
        assert (await (await house.newest()).farewell())[0] == 1005


async def test_our_farewell(listen: Listen) -> None:
    house = await listen()
    async with websockets_connect(house.url(), subprotocols=OCPP, proxy=None) as client:
        recorder = await house.newest()
        recorder.connection.send(b"last words")
        recorder.connection.close(1008, "ü" * 100)  # more than a control frame can take
        recorder.connection.close(1000)
        recorder.connection.send(b"too late")
        assert await client.recv() == "last words"
        with pytest.raises(ConnectionClosed) as error:
            await client.recv()
        assert error.value.rcvd is not None
        assert (error.value.rcvd.code, error.value.rcvd.reason) == (1008, "ü" * 61)
        assert await recorder.farewell() == (1008, "ü" * 100)


async def test_a_farewell_that_is_not_answered_ends_by_itself(listen: Listen) -> None:
    house = await listen(limits=Limits(close_timeout_s=0.1))
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        recorder.connection.close(1001, "go")
        assert await recorder.farewell() == (1001, "go")
        assert await raw.close_code() == 1001


async def test_a_farewell_while_reading_is_paused(listen: Listen) -> None:
    house = await listen(limits=Limits(close_timeout_s=3600))
    async with websockets_connect(house.url(), subprotocols=OCPP, proxy=None):
        recorder = await house.newest()
        recorder.connection.pause_reading()
        recorder.connection.close()
        assert (await recorder.farewell())[0] == 1000


async def test_a_peer_that_says_goodbye_and_reads_no_more_is_not_waited_for(listen: Listen) -> None:
    house = await listen(limits=Limits(close_timeout_s=0.1))
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        while not recorder.connection.paused:
            recorder.connection.send(b"x" * 10_000)
        raw.write(close_frame(1000))
        assert (await recorder.farewell())[0] == 1000


async def test_a_violator_that_reads_no_more_is_not_waited_for(listen: Listen) -> None:
    # picows would flush to it for ever.
    house = await listen(limits=Limits(ping_interval_s=0.1, pong_timeout_s=0.1))
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        while not recorder.connection.paused:
            recorder.connection.send(b"x" * 10_000)
        raw.write(frame(3))
        assert (await recorder.farewell())[0] == 1002


async def test_a_lost_connection_is_1006(listen: Listen) -> None:
    house = await listen()
    reset, ended = await Raw.upgraded(house), await Raw.upgraded(house)
    recorders = [await house.newest(), await house.newest()]
    reset.reset()
    ended.writer.write_eof()
    for recorder in recorders:
        assert (await recorder.farewell())[0] == 1006
        assert not recorder.connection.is_open
        recorder.connection.pause_reading()
        recorder.connection.resume_reading()
        recorder.connection.close()
        recorder.connection.abort()
    await ended.close()


async def test_abort(listen: Listen) -> None:
    house = await listen()
    async with await Raw.upgraded(house) as raw:
        recorder = await house.newest()
        recorder.connection.abort("enough")
        assert not recorder.connection.is_open
        assert await recorder.farewell() == (1006, "enough")
        await raw.rest()


async def test_both_ends_are_ours(listen: Listen) -> None:
    house = await listen(receiver=Echo)
    recorders: list[Recorder] = []

    def receive(connection: Connection) -> Recorder:
        recorders.append(Recorder(connection))
        connection.send(b"first")
        return recorders[0]

    connection = await connect(house.url("/ocpp/a%20b"), subprotocols=("ocpp1.6",), receiver=receive)
    assert (connection.identity, connection.subprotocol) == ("a b", "ocpp1.6")
    for size in (0, 1, 125, 126, 8_192, 8_193, 65_535, 65_536, 262_144):
        connection.send(b"x" * size)
    assert await recorders[0].next() == b"first"
    for size in (0, 1, 125, 126, 8_192, 8_193, 65_535, 65_536, 262_144):
        assert await recorders[0].next() == b"x" * size
    connection.close(3000, "done")
    await within(connection.wait_closed())
    assert recorders[0].farewells == [(3000, "done")]
    assert await (await house.newest()).farewell() == (3000, "done")
