"""What a driver says and is told at `/driver/{code}`. See `driver`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from forecourt.api.bodies import Asked, Name
from forecourt.csms.command_records import CommandState
from forecourt.csms.money_records import PaymentState
from forecourt.csms.records import ConnectorView
from forecourt.csms.resource_records import ReservationState
from forecourt.csms.tariff_terms import TariffElement

Evse = Annotated[int, Meta(ge=1, le=10_000)]
Token = Annotated[str, Meta(min_length=1, max_length=255)]
Handle = Annotated[str, Meta(min_length=1, max_length=64)]


class StartBody(Asked, frozen=True, kw_only=True):
    """Begin to charge: with a token, or with a payment."""

    evse_id: Evse | None = None
    id_token: Token | None = None
    payment_id: Handle | None = None


class PayBody(Asked, frozen=True, kw_only=True):
    """Have money held for a session."""

    provider: Name
    method: Name
    evse_id: Evse | None = None


class ReserveBody(Asked, frozen=True, kw_only=True):
    """Keep the place free."""

    id_token: Token
    minutes: Annotated[int, Meta(ge=1, le=120)] = 15
    evse_id: Evse | None = None


class DriverEvse(msgspec.Struct, frozen=True, kw_only=True):
    """Where a car can be plugged in."""

    evse_id: int
    view: ConnectorView
    power_w: float | None


class DriverStationResource(msgspec.Struct, frozen=True, kw_only=True):
    """The station before which a driver stands."""

    name: str | None
    location_name: str | None
    location_address: str | None
    connected: bool
    evses: tuple[DriverEvse, ...]
    currency: str | None
    elements: tuple[TariffElement, ...]
    """What somebody without a contract pays; empty: nothing."""
    tariff_text: str | None
    providers: tuple[str, ...]
    """With whom one can pay on the spot."""
    hold: Decimal
    """What is held for a session, until its cost is known."""
    now: datetime


class VisitResource(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver began, as it is now."""

    visit: str
    state: CommandState
    """Of the start."""
    charging: bool
    """A transaction runs."""
    over: bool
    detail: str | None
    started_at: datetime | None
    ended_at: datetime | None
    energy_wh: float | None
    cost: Decimal | None
    """With VAT, so far or at the end; null: nothing is charged for, or it isn't known yet."""
    currency: str | None
    billed: bool
    """There is a receipt."""
    departs_at: datetime | None
    """When they want to leave; null: nobody has said it."""
    wanted_energy_wh: float | None
    """Of the whole transaction; null: as much as the car takes."""
    completes_at: datetime | None
    """An estimate; null: nobody can tell."""
    now: datetime


class PaymentStateResource(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as far as its driver has to know."""

    payment_id: str
    state: PaymentState
    amount: Decimal
    currency: str
    detail: str | None


class DriverReservationResource(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation that a driver made."""

    reservation: str
    state: ReservationState
    expires_at: datetime
    evse_id: int | None


class DriverPageResource(msgspec.Struct, frozen=True, kw_only=True):
    """For whoever puts the sticker on the station."""

    code: str
    path: str
    url: str | None
    """Null: the configuration has no `public_url`."""
    qr_svg: str
