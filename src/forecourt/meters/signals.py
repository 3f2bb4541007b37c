"""A signal that is on or off: a relay's contact behind a Modbus input, a message on MQTT, or a call of the API.

Guarantees
* `True` is "dimmed" for the rest of the house, whatever the contact does: `inverted` says that an open contact means
  so, which is the wiring that a broken wire makes safe.
* `None` is told when a signal that should be readable isn't.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec

from forecourt.meters.modbus import Gateway, MeterError
from forecourt.meters.mqtt import value_in
from forecourt.meters.settings import ModbusMeter, MqttQuantity, Port, PositiveSeconds

log = logging.getLogger(__name__)

TakeSignal = Callable[[bool | None], None]
"""Called with what the signal says, each time it is read."""

_ON: Final = frozenset({b"on", b"true", b"yes", b"dimmed", b"active", b"1"})
_OFF: Final = frozenset({b"off", b"false", b"no", b"free", b"inactive", b"0"})


class ModbusSignal(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="modbus"
):
    """A coil or discrete input of a Modbus TCP device."""

    host: str
    port: Port = 502
    unit_id: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    area: Literal["coil", "discrete input"] = "discrete input"
    address: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    inverted: bool = False
    interval_s: PositiveSeconds = 1.0
    timeout_s: PositiveSeconds = 1.0


class MqttSignal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="mqtt"):
    """A message: a number other than 0, or a word such as on, true, dimmed. A retained one counts."""

    topic: Annotated[str, msgspec.Meta(min_length=1)]
    path: str | None = None
    inverted: bool = False

    def read(self, payload: bytes) -> bool | None:
        """What a message says; None if it says neither."""
        word = payload.strip().strip(b'"').lower()
        if self.path is None and word in _ON | _OFF:
            return (word in _ON) is not self.inverted
        value = value_in(payload, MqttQuantity(topic=self.topic, path=self.path))
        return None if value is None else (value != 0.0) is not self.inverted


class ApiSignal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="api"):
    """Nothing is read: somebody calls the administration API."""


async def watch(signal: ModbusSignal, take: TakeSignal) -> None:
    """Read it at its interval until cancelled."""
    gateway = Gateway(
        ModbusMeter(
            name="signal", host=signal.host, port=signal.port, unit_id=signal.unit_id, timeout_s=signal.timeout_s
        )
    )
    failing = False
    area = "coil" if signal.area == "coil" else "discrete input"
    try:
        while True:
            try:
                value = await gateway.bit(signal.unit_id, area, signal.address, signal.timeout_s)
            except MeterError as error:
                if not failing:
                    log.warning("dimming signal: %s", error)
                failing = True
                take(None)
            else:
                if failing:
                    log.info("dimming signal: can be read again")
                failing = False
                take(value is not signal.inverted)
            await asyncio.sleep(signal.interval_s)
    finally:
        gateway.close()
