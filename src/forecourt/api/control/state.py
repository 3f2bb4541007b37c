"""What the control API shows of a station: the hardware as it is, and what the core makes of it.

Guarantees
* Looking changes nothing, and waits for nobody.
"""

from datetime import datetime

import msgspec

from forecourt.domain.profile import ChargingRateUnit, CompositeSchedule
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.token import IdToken
from forecourt.domain.transaction import ChargingState
from forecourt.hardware.display import SimulatedDisplay
from forecourt.hardware.kept import KeptHardware
from forecourt.hardware.mqtt import MqttHardware
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.net.station_session import StationSession
from forecourt.station.boot import Registration
from forecourt.station.effects import PriceSubject, ShowPrices
from forecourt.station.evse import Lock
from forecourt.station.inputs import Fault, Pilot
from forecourt.station.outbox import Outbox, Part
from forecourt.station.parts import Parts
from forecourt.station.turn import Turn


class CarView(msgspec.Struct, frozen=True, kw_only=True):
    """The car at an EVSE."""

    phases: int
    current_a: tuple[float, float, float]
    """What it draws from each of the EVSE's phases."""
    power_w: float
    soc_percent: float
    battery_wh: float
    suspended: bool
    """Whether the car itself takes nothing for now."""
    satisfied: bool
    """Whether it wants nothing any more."""
    leaves_at: datetime | None


class TransactionView(msgspec.Struct, frozen=True, kw_only=True):
    """The transaction at an EVSE."""

    transaction_id: str
    """The station's own."""
    csms_transaction_id: str | None
    """As the CSMS knows it; null: it has not said yet."""
    id_token: IdToken | None
    started_at: datetime
    start_wh: float
    energy_wh: float
    charging_state: ChargingState


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """What limits an EVSE now."""

    offered_a: float
    """What the car is told, per phase; 0 unless the power path is closed."""
    number_phases: int
    allowed_a: float
    """What profiles and hardware allow, before the station's limit is shared."""
    reason: str
    until: datetime | None
    """It can't change before; null: never, as things are."""


class DisplayView(msgspec.Struct, frozen=True, kw_only=True):
    """What a display says of prices and costs."""

    about: PriceSubject
    text: str
    cost: str | None
    """With the decimals that it is shown with."""
    language: str
    """Empty: it was not said."""
    id_token: IdToken | None
    """Whose price it is, while no EVSE is known to be theirs."""
    qr_code_text: str | None


class EvseView(msgspec.Struct, frozen=True, kw_only=True):
    """An EVSE with its connector."""

    evse_id: int
    connector_status: ConnectorStatus
    charging_state: ChargingState | None
    pilot: Pilot | None
    """null: firmware behind MQTT has not said."""
    plug_present: bool
    locked: bool
    lock_works: bool | None
    """null: nobody can know before it is moved."""
    operative: bool
    register_wh: float | None
    """null: the meter has not been read."""
    faults: tuple[Fault, ...]
    car: CarView | None
    """null: none, or one that is not simulated."""
    transaction: TransactionView | None
    limit: LimitView
    display: DisplayView | None
    """null: nothing was said of this EVSE."""
    ev_certificate: str | None
    """What the car was last answered about its contract's certificate (EXI, base64); empty: nothing came of it."""


class OutboxView(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that a bill depends on."""

    depth: int
    """How many wait, the one under way included."""
    set_aside: int
    """How many were refused too often and wait for an operator."""
    unreadable: int
    """How many records of the journal, of any kind, could not be read at this start and were put aside."""


class StateView(msgspec.Struct, frozen=True, kw_only=True):
    """A station."""

    station_id: str
    csms_url: str
    protocol: str
    at: datetime
    """The time as the station knows it."""
    connected: bool
    link_wanted: bool
    """False after `/link/disconnect`."""
    registration: Registration
    restarting: bool
    reboots: int
    """Since this process began."""
    operative: bool
    faults: tuple[Fault, ...]
    """Those of the station as a whole."""
    outbox: OutboxView
    display: DisplayView | None
    """For everybody: the default price, or the price of whoever has just shown a token."""
    evses: tuple[EvseView, ...]


class PeriodView(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of a composite schedule."""

    start_period_s: int
    rate_limit: float
    number_phases: int | None
    profile_id: int | None
    """Whose limit it is; null: the station's own."""
    reason: str


class BillingMessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a bill depends on."""

    seq: int
    transaction_id: str
    """The station's own."""
    part: Part
    refusals: int
    """How often the CSMS answered it with an error."""
    set_aside: bool
    """It was refused too often, and waits for somebody to have it sent again."""


class OutboxMessages(msgspec.Struct, frozen=True, kw_only=True):
    """What has not reached the CSMS, in its order; what was set aside comes last."""

    items: tuple[BillingMessageView, ...]


def messages_of(outbox: Outbox) -> OutboxMessages:
    """What is in an outbox now."""
    return OutboxMessages(
        items=tuple(
            BillingMessageView(
                seq=entry.seq,
                transaction_id=entry.transaction_id,
                part=entry.part,
                refusals=entry.refusals,
                set_aside=aside,
            )
            for entries, aside in ((outbox.waiting, False), (outbox.set_aside, True))
            for entry in entries
        )
    )


class VariablesView(msgspec.Struct, frozen=True, kw_only=True):
    """Variables by their names: their values, or what came of setting them."""

    variables: dict[str, str]


class CompositeView(msgspec.Struct, frozen=True, kw_only=True):
    """What the installed profiles come to."""

    evse_id: int
    start: datetime
    duration_s: int
    rate_unit: ChargingRateUnit
    min_charging_rate: float | None
    periods: tuple[PeriodView, ...]


def turn_of(session: StationSession) -> Turn:
    """A turn to look with."""
    return Turn(session.clock.now(), session.endpoint.station.parts.clock.offset_s)


def state_of(session: StationSession, hardware: KeptHardware | MqttHardware, station_id: str) -> StateView:
    """Everything."""
    parts = session.endpoint.station.parts
    turn, display = turn_of(session), _display_of(hardware)
    return StateView(
        station_id=station_id,
        csms_url=session.uplink.url,
        protocol=session.dialect.subprotocol,
        at=turn.at,
        connected=session.connected,
        link_wanted=session.link_wanted,
        registration=parts.boot.registration,
        restarting=session.restarting,
        reboots=session.reboots,
        operative=parts.ground.operative,
        faults=tuple((hardware.faults if isinstance(hardware, KeptHardware) else parts.ground.faults).values()),
        outbox=OutboxView(
            depth=parts.outbox.depth, set_aside=len(parts.outbox.set_aside), unreadable=len(parts.unreadable)
        ),
        display=_display(next(iter(display.tokens.values()), display.default)),
        evses=tuple(_evse(parts, hardware, evse_id, turn) for evse_id in parts.evses),
    )


def evse_of(session: StationSession, hardware: KeptHardware, evse_id: int) -> EvseView:
    """One EVSE."""
    return _evse(session.endpoint.station.parts, hardware, evse_id, turn_of(session))


def composite_of(schedule: CompositeSchedule) -> CompositeView:
    """A composite schedule with its reasons."""
    return CompositeView(
        evse_id=schedule.evse_id,
        start=schedule.start,
        duration_s=schedule.duration_s,
        rate_unit=schedule.rate_unit,
        min_charging_rate=schedule.min_charging_rate,
        periods=tuple(
            PeriodView(
                start_period_s=period.start_period_s,
                rate_limit=period.rate_limit,
                number_phases=period.number_phases,
                profile_id=None if period.winner is None else period.winner.profile.id,
                reason=period.reason,
            )
            for period in schedule.periods
        ),
    )


def _evse(parts: Parts, hardware: KeptHardware | MqttHardware, evse_id: int, turn: Turn) -> EvseView:
    place = parts.evses[evse_id]
    metal = hardware.evses[evse_id] if isinstance(hardware, KeptHardware) else None
    shown, explained = place.shown(), parts.charging.explain(evse_id, turn)
    transaction = place.transaction
    register_wh = parts.metering.energy_wh(evse_id) if metal is None else metal.register_wh
    own = {fault.fault_id: fault for fault in (*(metal.faults if metal else ()), *place.faults.values())}
    pilot = place.pilot if metal is None else metal.pilot
    plugged = (place.cable or pilot not in {None, Pilot.A}) if metal is None else metal.plug_present
    return EvseView(
        evse_id=evse_id,
        connector_status=shown.connector_status,
        charging_state=shown.charging_state,
        pilot=pilot,
        plug_present=bool(plugged),
        locked=place.lock is Lock.LOCKED or (metal is not None and metal.locked),
        lock_works=None if metal is None else metal.lock_works,
        operative=place.operative,
        register_wh=None if register_wh is None else round(register_wh, 3),
        faults=tuple(own.values()),
        car=_car(metal, hardware.leaves_at(evse_id)) if metal and isinstance(hardware, KeptHardware) else None,
        transaction=None
        if transaction is None
        else TransactionView(
            transaction_id=transaction.transaction_id,
            csms_transaction_id=parts.outbox.csms_id_of(transaction.transaction_id),
            id_token=transaction.id_token,
            started_at=transaction.started_at,
            start_wh=transaction.start_wh,
            energy_wh=round(max(0.0, (register_wh or 0.0) - transaction.start_wh), 3),
            charging_state=place.charging_state(),
        ),
        limit=LimitView(
            offered_a=place.limit_a if place.offering else 0.0,
            number_phases=place.number_phases,
            allowed_a=explained.rate_limit,
            reason=explained.reason,
            until=explained.until,
        ),
        display=_display(_display_of(hardware).evses.get(evse_id)),
        ev_certificate=_answer(hardware, evse_id) if isinstance(hardware, KeptHardware) else None,
    )


def _car(metal: SimulatedEvse, leaves_at: datetime | None) -> CarView | None:
    vehicle = metal.vehicle
    if vehicle is None:
        return None
    return CarView(
        phases=vehicle.number_phases,
        current_a=metal.current_a,
        power_w=round(metal.power_w, 1),
        soc_percent=round(vehicle.soc * 100.0, 2),
        battery_wh=vehicle.spec.battery_wh,
        suspended=vehicle.suspended,
        satisfied=vehicle.satisfied,
        leaves_at=leaves_at,
    )


def _display_of(hardware: KeptHardware | MqttHardware) -> SimulatedDisplay:
    return hardware.hardware.display if isinstance(hardware, KeptHardware) else hardware.display


def _display(shown: ShowPrices | None) -> DisplayView | None:
    if shown is None:
        return None
    return DisplayView(
        about=shown.about,
        text=shown.text,
        cost=shown.cost,
        language=shown.language,
        id_token=shown.id_token,
        qr_code_text=shown.qr_code_text,
    )


def _answer(hardware: KeptHardware, evse_id: int) -> str | None:
    answers = hardware.hardware.ev_certificates
    return (answers[evse_id] or "") if evse_id in answers else None
