"""Meters that publish to a broker (aiomqtt).

Guarantees
* A quantity is a plain number or somewhere in the JSON of a message; what is neither is passed over, and told once.
* A reading is told with every message that changes one of its quantities, once all of them have been heard, and each
  within `TOGETHER_S`: quantities that one device publishes one after the other are one reading, and a quantity that
  stays away makes the meter silent.
* What a broker had retained is a reading of an unknown age, so it isn't one.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from forecourt.controller.ports import MeterReading
from forecourt.meters.quantities import reading_of
from forecourt.meters.settings import MqttMeter, MqttQuantity

log = logging.getLogger(__name__)

TOGETHER_S: Final = 5.0


class MqttReadings:
    """What the meters of a site have published. Whoever holds the connection hands the messages in."""

    def __init__(
        self,
        meters: Sequence[MqttMeter],
        take: Callable[[str, MeterReading], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._take = take
        self._clock = clock
        self._meters = {meter.name: meter for meter in meters}
        self._heard: dict[str, dict[str, tuple[float, float]]] = {meter.name: {} for meter in meters}
        self._wanted: dict[str, list[tuple[str, str, MqttQuantity]]] = {}
        self._complained: set[tuple[str, str]] = set()
        for meter in meters:
            for name, quantity in meter.quantities.items():
                self._wanted.setdefault(quantity.topic, []).append((meter.name, name, quantity))

    @property
    def topics(self) -> tuple[str, ...]:
        """To subscribe to."""
        return tuple(self._wanted)

    def message(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Something was published. Never raises, whatever it is."""
        if retained:
            return
        now_s = self._clock()
        touched: list[str] = []
        for meter, name, quantity in self._wanted.get(topic, []):
            value = value_in(payload, quantity)
            if value is None:
                if (meter, name) not in self._complained:
                    self._complained.add((meter, name))
                    log.warning("meter %s: %s: no number for %s in %r", meter, topic, name, payload[:80])
                continue
            self._heard[meter][name] = (now_s, value)
            touched.append(meter)
        for meter in dict.fromkeys(touched):
            heard = self._heard[meter]
            quantities = self._meters[meter].quantities
            if len(heard) == len(quantities) and all(now_s - at_s <= TOGETHER_S for at_s, _ in heard.values()):
                values = {name: value for name, (_, value) in heard.items()}
                self._take(meter, reading_of(values, invert=self._meters[meter].invert))


def value_in(payload: bytes, quantity: MqttQuantity) -> float | None:
    """The number that a message has for a quantity; None if it has none."""
    found: Any
    try:
        if quantity.path is None:
            found = float(payload)
        else:
            found = msgspec.json.decode(payload)
            for step in quantity.path.split("."):
                found = found[int(step)] if isinstance(found, list) else found[step]
            found = float(found) if not isinstance(found, bool) else None
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return found * quantity.scale if found is not None and math.isfinite(found) else None
