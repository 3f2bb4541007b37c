"""A station's edge: between the stack and the wire, where quirks are obeyed and everything sent is counted.

Guarantees
* Without quirks every frame passes as it is, byte for byte.
* What is counted (`Observer`) is what goes over the wire, not what the stack meant to say.
* A quirk never keeps a call of the stack without its answer.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import msgspec

from forecourt.net.connection import CloseCode, Connection, Peer, Receiver, ReceiverFactory, TlsInfo
from forecourt.rpc.frame import Call, encode_call, encode_call_error, encode_call_result, parse
from forecourt.sim.fleet.template import Quirks

_CALL: Final = b"2"
_RESULT: Final = b"3"
_STATUS: Final = "StatusNotification"
_BOOT: Final = "BootNotification"
_PROFILE: Final = "SetChargingProfile"
_SAMPLES: Final = "sampledValue"
_ENERGY: Final = "Energy."

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Observer(Protocol):
    """Whoever counts."""

    def sent(self, frame: bytes) -> None:
        """It went over the wire."""
        ...

    def received(self, frame: bytes) -> None:
        """It came over the wire."""
        ...

    def closed(self) -> None:
        """The connection is gone."""
        ...


class Edge:
    """One connection of one station. A `Connection` to the stack, and a `Receiver` to the wire."""

    __slots__ = ("_first_boot", "_loop", "_observer", "_quirks", "_receiver", "_swallowed", "_timers", "_wire")

    def __init__(
        self,
        wire: Connection,
        receiver: ReceiverFactory,
        quirks: Quirks,
        observer: Observer,
        first_boot: bytes | None = None,
    ) -> None:
        """`first_boot`: the payload of the station's BootNotification on an earlier connection."""
        self._wire = wire
        self._quirks = quirks
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._swallowed: set[str] = set()
        """Calls that the stack does not know of: it gets no answers to them."""
        self._timers: set[asyncio.TimerHandle] = set()
        self._first_boot = first_boot
        self._receiver: Receiver = receiver(self)
        if quirks.boots_on_reconnect and first_boot is not None:
            self._call_on_its_behalf(_BOOT, first_boot)

    @property
    def first_boot(self) -> bytes | None:
        """The payload of the station's first BootNotification, once it was sent."""
        return self._first_boot

    # Towards the stack

    @property
    def identity(self) -> str:
        return self._wire.identity

    @property
    def subprotocol(self) -> str | None:
        return self._wire.subprotocol

    @property
    def peer(self) -> Peer:
        return self._wire.peer

    @property
    def tls(self) -> TlsInfo | None:
        return self._wire.tls

    @property
    def is_open(self) -> bool:
        return self._wire.is_open

    @property
    def paused(self) -> bool:
        return self._wire.paused

    @property
    def write_buffer_size(self) -> int:
        return self._wire.write_buffer_size

    @property
    def last_pong_rtt_s(self) -> float | None:
        return self._wire.last_pong_rtt_s

    def send(self, data: bytes, /) -> None:
        """Send what the stack says, in the way of its model."""
        if not self._quirks.any:
            self._out(data)
            return
        quirks = self._quirks
        data = _rewritten(data, quirks)
        kind = data[1:2]
        if kind == _CALL and (quirks.late_status_s or quirks.boots_on_reconnect):
            call = parse(data)
            if isinstance(call, Call) and call.action == _BOOT:
                self._first_boot = bytes(call.payload)
            elif isinstance(call, Call) and call.action == _STATUS and quirks.late_status_s:
                self._say_later(call, data)
                return
        if kind != _CALL and quirks.slow_answers_s:
            self._later(quirks.slow_answers_s, lambda: self._out(data))
            return
        self._out(data)

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        self._wire.close(code, reason)

    def abort(self, reason: str = "aborted") -> None:
        self._wire.abort(reason)

    def pause_reading(self) -> None:
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        self._wire.resume_reading()

    def ping_every(self, interval_s: float) -> None:
        self._wire.ping_every(interval_s)

    async def wait_closed(self) -> None:
        await self._wire.wait_closed()

    # Towards the wire

    def message(self, data: bytes, /) -> None:
        """Hand on what the CSMS says, unless it is none of the stack's business."""
        self._observer.received(data)
        if self._swallowed or self._quirks.refused_actions or self._quirks.refused_purposes:
            frame = parse(data)
            if isinstance(frame, Call):
                if (refusal := self._refusal(frame)) is not None:
                    self._out(refusal)
                    return
            elif frame.message_id in self._swallowed:
                self._swallowed.discard(frame.message_id or "")
                return
        self._receiver.message(data)

    def writable(self) -> None:
        self._receiver.writable()

    def closed(self, code: int, reason: str, /) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._observer.closed()
        self._receiver.closed(code, reason)

    # Quirks

    def _out(self, data: bytes) -> None:
        if self._wire.is_open:
            self._observer.sent(data)
            self._wire.send(data)

    def _say_later(self, call: Call, data: bytes) -> None:
        """The stack gets its answer now; what the CSMS will answer then is nobody's business."""
        self._swallowed.add(call.message_id)
        self._later(self._quirks.late_status_s, lambda: self._out(data))
        answer = encode_call_result(call.message_id, b"{}")
        self._later(0.0, lambda: self._receiver.message(answer))

    def _call_on_its_behalf(self, action: str, payload: bytes) -> None:
        message_id = str(uuid.uuid4())
        self._swallowed.add(message_id)
        self._out(encode_call(message_id, action, payload))

    def _refusal(self, call: Call) -> bytes | None:
        if call.action in self._quirks.refused_actions:
            return encode_call_error(call.message_id, "NotSupported", f"{call.action} is not supported", b"{}")
        if call.action == _PROFILE and self._quirks.refused_purposes:
            purposes = (f'"{purpose}"'.encode() for purpose in self._quirks.refused_purposes)
            if any(purpose in bytes(call.payload) for purpose in purposes):
                return encode_call_result(call.message_id, b'{"status":"Rejected"}')
        return None

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            act()

        timer = self._loop.call_later(seconds, run)
        self._timers.add(timer)


def _rewritten(data: bytes, quirks: Quirks) -> bytes:
    """A frame of the stack with its samples in the way of the model."""
    changes = quirks.values_as_numbers or quirks.energy_in_kwh or quirks.no_values_by_phase
    if not changes or b'"sampledValue"' not in data:
        return data
    tree = _decode(data)
    for holder in _holders(tree):
        samples = [sample for sample in holder[_SAMPLES] if not (quirks.no_values_by_phase and "phase" in sample)]
        for sample in samples:
            if quirks.energy_in_kwh:
                _to_kwh(sample)
            if quirks.values_as_numbers and isinstance(sample.get("value"), str):
                _to_number(sample)
        holder[_SAMPLES] = samples or holder[_SAMPLES]  # an empty list is no meter value at all
    return _encode(tree)


def _holders(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object with samples, wherever it is."""
    if isinstance(tree, list):
        for item in tree:
            yield from _holders(item)
    elif isinstance(tree, dict):
        if isinstance(tree.get(_SAMPLES), list):
            yield tree
        else:
            for item in tree.values():
                yield from _holders(item)


def _to_kwh(sample: dict[str, Any]) -> None:
    """Energy in Wh, which is what a sample that names neither measurand nor unit is too."""
    unit = sample.get("unit", (sample.get("unitOfMeasure") or {}).get("unit", "Wh"))
    if not str(sample.get("measurand", _ENERGY)).startswith(_ENERGY) or unit != "Wh":
        return
    try:
        number = round(float(sample["value"]) / 1000.0, 6)
    except (KeyError, TypeError, ValueError):
        return  # a signed text
    if isinstance(sample["value"], str):
        sample["value"], sample["unit"] = repr(number), "kWh"
    else:
        sample["value"], sample["unitOfMeasure"] = number, {"unit": "kWh"}


def _to_number(sample: dict[str, Any]) -> None:
    try:
        sample["value"] = float(sample["value"])
    except ValueError:
        return  # a signed text
