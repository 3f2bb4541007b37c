"""Prices and costs on the display, and the meter values that the CSMS wants for them (California pricing requirements).

Guarantees
* Nothing is reckoned here: what is shown is what the CSMS said, in the station's language where it has the words, else
  in the words that it has (`ShowPrices`). Without a word for anybody in particular the default price is shown.
* A cost is taken for a transaction that runs, a final cost also for the last one of an EVSE while its car is there or
  nobody else has come; any other is Rejected. With CustomDisplayCostAndPrice off all of it is answered as unknown.
* A trigger sends one meter value, with the context Other, at each of what it names: an instant, an energy, and each
  time the power crosses its mark or the connector comes into one of its states. The next running cost takes its place.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.domain.cost import ChargingPrice, MeterTrigger, PriceText
from forecourt.domain.events import MeterSampled, Notice
from forecourt.domain.meter import Measurand, ReadingContext
from forecourt.domain.requests import CostUpdated, RequestStatus, ShowFinalCost, ShowPrice
from forecourt.station.calls import Calls, ForInformation, ShownState
from forecourt.station.effects import PriceSubject, ShowPrices
from forecourt.station.evse import Evse
from forecourt.station.extension_variables import (
    COST_DECIMALS,
    COSTS_SHOWN,
    DEFAULT_PRICE,
    DEFAULT_PRICE_TEXTS,
    LANGUAGE,
    MULTI_LANGUAGE,
    NEXT_OFFSET,
    NEXT_OFFSET_AT,
    SUPPORTED_LANGUAGES,
    TIME_OFFSET,
    instant_of,
    offset_of,
    price_words,
)
from forecourt.station.metering import Metering
from forecourt.station.outbox import Outbox
from forecourt.station.stays import Stays
from forecourt.station.turn import Turn
from forecourt.station.variable_table import SAMPLED_MEASURANDS
from forecourt.station.variables import Variables

_LOOK_EVERY_S: Final = 10.0
"""How often the meter is looked at for an energy or a power that the CSMS waits for."""
_POWER_BAND: Final = 0.05
"""How far the power has to come back, as a share of its mark, before crossing it counts again."""


class _Line(msgspec.Struct):
    """What is known of the costs at one EVSE."""

    transaction_id: str
    csms_id: str | None = None
    start_wh: float = 0.0
    trigger: MeterTrigger | None = None
    at: datetime | None = None
    energy_wh: float | None = None
    above: bool | None = None
    state: ShownState | None = None


class Costs:
    """What one station shows of prices and costs."""

    __slots__ = (
        "_calls",
        "_default",
        "_evses",
        "_lines",
        "_metering",
        "_outbox",
        "_stays",
        "_variables",
        "_zero",
    )

    def __init__(
        self,
        variables: Variables,
        calls: Calls,
        outbox: Outbox,
        metering: Metering,
        evses: Mapping[int, Evse],
        stays: Stays,
    ) -> None:
        self._variables = variables
        self._calls = calls
        self._outbox = outbox
        self._metering = metering
        self._evses = evses
        self._lines: dict[int, _Line] = {}
        self._stays = stays
        self._default: ShowPrices | None = None
        self._zero: tuple[datetime, float] | None = None
        """One instant on the calendar and on the world's clock, to go from one to the other."""

    @property
    def enabled(self) -> bool:
        """Whether prices and costs are shown."""
        return self._variables.boolean(COSTS_SHOWN)

    # What the CSMS says

    def price(self, request: ShowPrice, turn: Turn) -> RequestStatus:
        """What charging costs a driver."""
        if not self.enabled:
            return RequestStatus.NOT_SUPPORTED
        place = None
        for evse in self._evses.values():
            holder = evse.transaction or evse.authorization
            if holder is not None and holder.id_token is not None and holder.id_token.key == request.id_token.key:
                place = evse.evse_id
        words = self._words(request.texts)
        turn.emit(
            ShowPrices(
                evse_id=place,
                about=PriceSubject.USER_PRICE,
                text=words.text,
                language=words.language or "",
                id_token=request.id_token,
            )
        )
        return RequestStatus.ACCEPTED

    def cost(self, request: CostUpdated, turn: Turn) -> RequestStatus:
        """What a transaction has cost so far."""
        if not self.enabled:
            return RequestStatus.NOT_SUPPORTED
        found = self._running(request.transaction_id)
        if found is None:
            return RequestStatus.REJECTED
        evse, line = found
        turn.emit(
            ShowPrices(
                evse_id=evse.evse_id,
                about=PriceSubject.RUNNING_COST,
                text=self._prices(request),
                cost=self._amount(request.total_cost),
            )
        )
        self._set_trigger(evse, line, request.trigger, turn)
        return RequestStatus.ACCEPTED

    def final_cost(self, request: ShowFinalCost, turn: Turn) -> RequestStatus:
        """What a transaction has cost."""
        if not self.enabled:
            return RequestStatus.NOT_SUPPORTED
        for evse_id, line in self._lines.items():
            if line.csms_id == request.transaction_id:
                words = self._words(request.texts)
                turn.emit(
                    ShowPrices(
                        evse_id=evse_id,
                        about=PriceSubject.FINAL_COST,
                        text=words.text,
                        language=words.language or "",
                        cost=self._amount(request.total_cost),
                        qr_code_text=request.qr_code_text,
                    )
                )
                line.trigger = None
                return RequestStatus.ACCEPTED
        return RequestStatus.REJECTED

    def total_told(self, transaction_id: str, total_cost: float, turn: Turn) -> None:
        """The CSMS has said with its answer what a transaction, by our own id, has cost (OCPP 2.0.1 I03)."""
        for evse_id, line in self._lines.items():
            if self.enabled and line.transaction_id == transaction_id:
                amount = self._amount(total_cost)
                turn.emit(ShowPrices(evse_id=evse_id, about=PriceSubject.FINAL_COST, cost=amount))

    # What follows from facts

    def update(self, turn: Turn) -> None:
        """Bring up to date what is shown, and see whether a trigger has come."""
        if not self.enabled:
            return
        self._zero = (turn.at, turn.now.elapsed_s)
        for evse in self._evses.values():
            self._follow(evse, turn)
        self._show_default(turn)

    def _follow(self, evse: Evse, turn: Turn) -> None:
        """The transaction of an EVSE has begun, goes on, or is over."""
        transaction, line = evse.transaction, self._lines.get(evse.evse_id)
        if transaction is not None:
            if line is None or line.transaction_id != transaction.transaction_id:
                line = _Line(transaction.transaction_id, start_wh=transaction.start_wh, state=evse.shown())
                self._lines[evse.evse_id] = line
            line.csms_id = line.csms_id or self._outbox.csms_id_of(transaction.transaction_id)
            if line.trigger is not None and not evse.interrupted:
                self._look(evse, line, line.trigger, turn)
        elif line is not None:
            line.csms_id = line.csms_id or self._outbox.csms_id_of(line.transaction_id)
            if line.trigger is not None and not self._over(evse, line, turn):
                line.trigger = None
            if evse.occupied and evse.finished:
                self._stays.begin(evse.evse_id, line.transaction_id, line.csms_id, turn)
            if not evse.occupied and evse.authorization is not None:
                del self._lines[evse.evse_id]  # the next driver is there

    def _over(self, evse: Evse, line: _Line, turn: Turn) -> bool:
        """After the end only the state of the connector still counts. Whether there is something to wait for."""
        trigger = line.trigger
        if trigger is None:
            return False
        if self._came_into(evse, line, trigger):
            self._tell(evse, line, turn)
        return evse.occupied and bool(trigger.charging_states or trigger.connector_states)

    # Meter values that were asked for

    def _set_trigger(self, evse: Evse, line: _Line, trigger: MeterTrigger | None, turn: Turn) -> None:
        line.trigger = trigger
        line.at = line.energy_wh = line.above = None
        line.state = evse.shown()
        if trigger is None:
            return
        line.at = trigger.at
        register_wh = self._metering.energy_wh(evse.evse_id)
        if trigger.energy_wh is not None:
            passed = register_wh is not None and trigger.energy_wh <= register_wh
            line.energy_wh = trigger.energy_wh + (line.start_wh if passed else 0.0)
            if register_wh is not None and line.energy_wh <= register_wh:
                line.energy_wh = None  # that is over, whichever way it was meant
        power_w = self._power_w(evse, turn.at)
        if trigger.power_w is not None and power_w is not None:
            line.above = power_w >= trigger.power_w

    def _look(self, evse: Evse, line: _Line, trigger: MeterTrigger, turn: Turn) -> None:
        """Send a meter value if one of what it waits for has come."""
        come = self._came_into(evse, line, trigger)
        if line.at is not None and turn.at >= line.at:
            line.at, come = None, True
        register_wh = self._metering.energy_wh(evse.evse_id)
        if line.energy_wh is not None and register_wh is not None and register_wh >= line.energy_wh:
            line.energy_wh, come = None, True
        power_w = self._power_w(evse, turn.at)
        if trigger.power_w is not None and power_w is not None:
            band_w = trigger.power_w * _POWER_BAND
            if line.above is None:
                line.above = power_w >= trigger.power_w
            elif power_w >= trigger.power_w + (0.0 if line.above else band_w):
                come, line.above = come or not line.above, True
            elif power_w < trigger.power_w - (band_w if line.above else 0.0):
                come, line.above = come or line.above, False
        if come:
            self._tell(evse, line, turn)

    def _came_into(self, evse: Evse, line: _Line, trigger: MeterTrigger) -> bool:
        """Whether the connector has just come into one of the states that are waited for."""
        before, now = line.state, evse.shown()
        line.state = now
        if before == now:
            return False
        if now.charging_state is not None:
            return now.charging_state in trigger.charging_states
        return now.connector_status in trigger.connector_states

    def _tell(self, evse: Evse, line: _Line, turn: Turn) -> None:
        wanted = self._variables.measurands(SAMPLED_MEASURANDS) or ()
        register = (Measurand.ENERGY_ACTIVE_IMPORT_REGISTER, None)
        wanted = wanted if register in wanted else (register, *wanted)
        value = self._metering.value(evse.evse_id, wanted, ReadingContext.OTHER, turn.at)
        if value is not None:
            known = line.transaction_id if self._outbox.csms_id_of(line.transaction_id) is not None else None
            event = MeterSampled(evse_id=evse.evse_id, transaction_id=known, meter_values=(value,))
            self._calls.send(Notice((event,)), ForInformation(), turn)

    def _power_w(self, evse: Evse, at: datetime) -> float | None:
        value = self._metering.value(evse.evse_id, ((Measurand.POWER_ACTIVE_IMPORT, None),), ReadingContext.OTHER, at)
        if value is None:
            return None
        whole = [sample.value for sample in value.samples if sample.phase is None and sample.value is not None]
        phases = [sample.value for sample in value.samples if sample.phase is not None and sample.value is not None]
        return whole[0] if whole else sum(phases) if phases else None

    # Time

    def next_deadline_s(self) -> float | None:
        """When to look again, on the world's clock."""
        if self._zero is None:
            return None
        zero_at, zero_s = self._zero
        deadlines = []
        for line in self._lines.values():
            if line.trigger is None:
                continue
            if line.at is not None:
                deadlines.append(zero_s + max(0.0, (line.at - zero_at).total_seconds()))
            if line.energy_wh is not None or line.trigger.power_w is not None:
                deadlines.append(zero_s + _LOOK_EVERY_S)
        return min(deadlines, default=None)

    # Words

    def _show_default(self, turn: Turn) -> None:
        language = self._variables.text(LANGUAGE)
        own = DEFAULT_PRICE_TEXTS.get(language)
        words = price_words(self._variables.text(own)) if own is not None else None
        words = words or price_words(self._variables.text(DEFAULT_PRICE))
        text = ""
        if words is not None:
            text = words.price_text if self._calls.online else words.price_text_offline or words.price_text
        shown = ShowPrices(evse_id=None, about=PriceSubject.DEFAULT_PRICE, text=text, language=language)
        if self.enabled and shown != self._default and (text or self._default is not None):
            self._default = shown
            turn.emit(shown)

    def _words(self, texts: tuple[PriceText, ...]) -> PriceText:
        """The text in the station's language; else the first."""
        language = self._variables.text(LANGUAGE)
        if self._variables.boolean(MULTI_LANGUAGE) and language in self._variables.members(SUPPORTED_LANGUAGES):
            for text in texts:
                if (text.language or "").casefold().split("-")[0] == language:
                    return text
        return next((text for text in texts if text.language is None), texts[0] if texts else PriceText(text=""))

    def _amount(self, cost: float) -> str:
        return f"{cost:.{max(0, min(6, self._variables.integer(COST_DECIMALS)))}f}"

    def _prices(self, request: CostUpdated) -> str:
        """The prices now, and those that come next with their time as the clock on the wall says it."""
        now = "" if request.charging_price is None else _price_text(request.charging_price)
        following = request.next_period
        if following is None:
            return now
        at = following.at + self._offset(following.at)
        later = f"{at:%H:%M} {_price_text(following.charging_price)}"
        return f"{now}; {later}" if now else later

    def _offset(self, at: datetime) -> timedelta:
        """How far the clock on the wall is ahead of UTC then."""
        next_at = instant_of(self._variables.text(NEXT_OFFSET_AT))
        changed = next_at is not None and at >= next_at
        return offset_of(self._variables.text(NEXT_OFFSET if changed else TIME_OFFSET)) or timedelta()

    def _running(self, csms_id: str) -> tuple[Evse, _Line] | None:
        own_id = self._outbox.own_id_of(csms_id)
        for evse in self._evses.values():
            line = self._lines.get(evse.evse_id)
            if evse.transaction is not None and line is not None and line.transaction_id == own_id:
                return evse, line
        return None


def _price_text(price: ChargingPrice) -> str:
    parts = ((price.kwh_price, "/kWh"), (price.hour_price, "/h"), (price.flat_fee, ""))
    return " + ".join(f"{value:g}{unit}" for value, unit in parts if value)
