"""What hangs on one station, transaction, token or group: configuration, local list, wishes, schedules, estimates.

    csms.do(details.set_desired("CS-1", {VariableRef("SampledDataCtrlr", "TxUpdatedInterval"): "60"}))
    for drift in csms.do(details.synchronise_configuration("CS-1"), wait_s=60).drift: …
    csms.do(details.completion(7)).estimated_at

Guarantees
* What is answered in the words of the books' own records is given as these; nothing is said twice.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, time
from typing import Any

from forecourt.client import resource_types as resources
from forecourt.client.operations import Operation, change, get, params_of, path_of
from forecourt.client.types import Answer, Command
from forecourt.csms.completion import Completion
from forecourt.csms.group_records import WishInForce
from forecourt.csms.people_records import RotationState
from forecourt.csms.records import Configuration
from forecourt.domain.profile import ChargingRateUnit, CompositeSchedule
from forecourt.domain.variable import AttributeType, VariableRef


class Difference(Answer, frozen=True, kw_only=True):
    """From one instant to another the station's word is another than what was intended."""

    since: datetime
    until: datetime
    said: float
    intended: float
    over: bool
    reason: str


class StationSchedule(Answer, frozen=True, kw_only=True):
    """What a station says its profiles come to."""

    schedule: CompositeSchedule | None
    command: Command
    differences: tuple[Difference, ...] | None = None


class Rotation(Answer, frozen=True, kw_only=True):
    """The last change of a station's password over the air."""

    state: RotationState
    command_id: str | None
    detail: str | None
    created_at: datetime
    updated_at: datetime


class Reserved(Answer, frozen=True, kw_only=True):
    """A reservation, and the command that asked for it."""

    reservation: resources.Reservation
    command: Command


# Of a station


def configuration(station_id: str) -> Operation[Configuration]:
    """As reported, as desired, and where the two differ."""
    return get(Configuration, "stations", station_id, "configuration")


def set_desired(station_id: str, wishes: Mapping[VariableRef, str]) -> Operation[Configuration]:
    """What variables shall be from now on, pushed at the next boot."""
    desired = [{"ref": ref, "value": value} for ref, value in wishes.items()]
    return change("PATCH", Configuration, "stations", station_id, "configuration", body={"desired": desired})


def synchronise_configuration(station_id: str) -> Operation[Configuration]:
    """Push now what differs, to a station that is connected."""
    return change("POST", Configuration, "stations", station_id, "configuration", "synchronise")


def remove_desired(station_id: str, ref: VariableRef) -> Operation[None]:
    """Take a wish back; the station keeps the value."""
    params = params_of(
        component=ref.component,
        variable=ref.variable,
        variable_instance=ref.variable_instance,
        component_instance=ref.component_instance,
        evse_id=ref.evse_id,
        connector_id=ref.connector_id,
        attribute=None if ref.attribute is AttributeType.ACTUAL else ref.attribute,
    )
    path = path_of("stations", station_id, "configuration", "desired")
    return Operation(method="DELETE", path=path, kind=type(None), params=params)


def composite_schedule(
    station_id: str,
    *,
    evse_id: int = 0,
    duration_s: int = 86_400,
    rate_unit: ChargingRateUnit | None = None,
    compare: bool = False,
) -> Operation[StationSchedule]:
    """Ask a station what its profiles come to, and hold that against what was intended."""
    params = params_of(evse_id=evse_id, duration_s=duration_s, rate_unit=rate_unit, compare=compare)
    path = path_of("stations", station_id, "composite-schedule")
    return Operation(method="GET", path=path, kind=StationSchedule, params=params)


def rotate_password(station_id: str) -> Operation[Rotation]:
    """Have a connected station take a new password."""
    return change("POST", Rotation, "stations", station_id, "credentials", "rotate")


def rotation(station_id: str) -> Operation[Rotation]:
    """How far that is."""
    return get(Rotation, "stations", station_id, "credentials", "rotation")


def put_local_list(station_id: str, entries: Iterable[Mapping[str, Any]]) -> Operation[resources.LocalList]:
    """What its local list shall be, entry by entry."""
    return change("PUT", resources.LocalList, "stations", station_id, "local-list", body={"entries": list(entries)})


def follow_tokens(station_id: str) -> Operation[resources.LocalList]:
    """From now on its local list is what the tokens are."""
    return change("PUT", resources.LocalList, "stations", station_id, "local-list", body={"follows_tokens": True})


def synchronise_local_list(station_id: str) -> Operation[resources.LocalList]:
    """Send it now, and see what came of it."""
    return change("POST", resources.LocalList, "stations", station_id, "local-list", "synchronise")


def forget_local_list(station_id: str) -> Operation[None]:
    """Wish for nothing any more; the station keeps what it has."""
    return change("DELETE", type(None), "stations", station_id, "local-list")


def reserve(station_id: str, id_token: str, expires_at: datetime, *, evse_id: int | None = None) -> Operation[Reserved]:
    """Ask a station to keep a place free."""
    body = {"station_id": station_id, "id_token": {"value": id_token}, "expires_at": expires_at, "evse_id": evse_id}
    return change("POST", Reserved, "reservations", body=body)


# Of transactions, tokens and groups


def completion(transaction_number: int) -> Operation[Completion]:
    """When a transaction will be done, as far as anybody can tell."""
    return get(Completion, "transactions", transaction_number, "completion")


def wish(transaction_number: int) -> Operation[WishInForce]:
    """What is wanted of a transaction, and who said so."""
    return get(WishInForce, "transactions", transaction_number, "wish")


def put_wish(
    transaction_number: int, *, departs_at: datetime | None = None, energy_wh: float | None = None
) -> Operation[WishInForce]:
    """What a person wants of it."""
    body = {"departs_at": departs_at, "energy_wh": energy_wh}
    return change("PUT", WishInForce, "transactions", transaction_number, "wish", body=body)


def token_wish(id_token: str) -> Operation[resources.TokenWish]:
    """What a token wants of each transaction."""
    return get(resources.TokenWish, "tokens", id_token, "wish")


def put_token_wish(
    id_token: str, *, departs: time | None = None, time_zone: str = "UTC", energy_wh: float | None = None
) -> Operation[resources.TokenWish]:
    """Say so."""
    body = {"departs": departs, "time_zone": time_zone, "energy_wh": energy_wh}
    return change("PUT", resources.TokenWish, "tokens", id_token, "wish", body=body)


def remove_token_wish(id_token: str) -> Operation[None]:
    """It wants nothing any more."""
    return change("DELETE", type(None), "tokens", id_token, "wish")


def put_series(
    group_number: int,
    *,
    series: Iterable[Mapping[str, Any]] | None = None,
    signal: Iterable[Mapping[str, Any]] | None = None,
) -> Operation[resources.LoadGroup]:
    """Limits of a load group over time, or prices or CO₂ that its thresholds are about."""
    body = {
        "series": None if series is None else list(series),
        "signal": None if signal is None else list(signal),
    }
    return change("PUT", resources.LoadGroup, "load-groups", group_number, "series", body=body)
