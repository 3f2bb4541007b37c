"""The world around the demonstration's site: where it is, what charging costs there, what energy costs the site itself,
and what its drivers want.

Guarantees
* All of it is made up, but for departure and energy: those are what the recorded drivers asked for.
* Books that were kept from an earlier demonstration are furnished once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from forecourt.allocation.planner import Plan
from forecourt.controller.limits import Happened
from forecourt.controller.outlook import Curve, Outlook, PlannerSettings
from forecourt.controller.surroundings import PlanTask
from forecourt.controller.wishes import TokenWish
from forecourt.csms import authorization, stations, tariffs
from forecourt.csms.authorization import TokenFields
from forecourt.csms.errors import NotFound
from forecourt.csms.money_records import TariffScope
from forecourt.csms.ports import Context
from forecourt.csms.stations import LocationFields, StationChanges, StationFields
from forecourt.csms.tariff_terms import PriceComponent, TariffDimension, TariffElement, TariffTerms
from forecourt.domain.clock import Clock
from forecourt.domain.site import Site
from forecourt.net.controller_session import ControllerServer
from forecourt.net.planning import PlanMaker
from forecourt.net.site_link import SiteLink
from forecourt.sim.cars import token_of
from forecourt.sim.sessions import RecordedSession

ZONE: Final = "America/Los_Angeles"
"""Where the day was recorded."""
LOCATION: Final = LocationFields(name="Garage", address="Pasadena", time_zone=ZONE)
GUEST: Final = "GUEST"
"""A token for whoever tries the driver's page."""

_TARIFF: Final = TariffTerms(
    currency="EUR",
    alt_text="Charging in the garage",
    elements=(
        TariffElement(
            price_components=(
                PriceComponent(type=TariffDimension.FLAT, price=Decimal("0.50"), vat=Decimal(19)),
                PriceComponent(type=TariffDimension.ENERGY, price=Decimal("0.40"), vat=Decimal(19)),
            )
        ),
    ),
)
_DAYS: Final = 8
"""How far ahead the prices are known."""
_PRICES: Final = (
    0.180, 0.182, 0.184, 0.186, 0.188, 0.190, 0.193, 0.196, 0.200, 0.206, 0.214, 0.224,
    0.236, 0.250, 0.266, 0.284, 0.304, 0.330, 0.345, 0.340, 0.310, 0.280, 0.240, 0.200,
)  # fmt: skip
"""Per kWh in each hour of the day: a windy morning, a calm evening. Waiting for midnight pays, waiting for noon not:
whoever has just started the demonstration wants to see cars charge."""
_CARBON: Final = (
    0.24, 0.23, 0.22, 0.21, 0.21, 0.20, 0.19, 0.18, 0.17, 0.17, 0.18, 0.20,
    0.22, 0.25, 0.28, 0.32, 0.36, 0.40, 0.42, 0.41, 0.38, 0.33, 0.29, 0.26,
)  # fmt: skip
"""Kilograms per kWh, likewise."""
_PLAN_EVERY_S: Final = 300.0
_PLAN_EVERY_REAL_S: Final = 10.0
_LOOKS_S: Final = 1.0


async def furnish(context: Context, station_ids: Iterable[str]) -> None:
    """Location, stations, tariff and the guest's token, as far as they aren't there."""
    known = (await stations.list_locations(context, limit=500)).items
    place = next((one for one in known if one.name == LOCATION.name), None)
    if place is None:
        place = await stations.create_location(context, LOCATION)
        tariff = await tariffs.create_tariff(context, _TARIFF)
        await tariffs.assign_tariff(context, tariff.id, TariffScope.LOCATION, str(place.id))
    for station_id in station_ids:
        try:
            await stations.update_station(context, station_id, StationChanges(location_id=place.id))
        except NotFound:
            await stations.create_station(context, station_id, StationFields(location_id=place.id))
    await authorization.put_token(context, GUEST, TokenFields())


def planner_settings(speed: float) -> PlannerSettings:
    """Not more often than a machine that runs everything can bear, however fast the world is."""
    every_s = max(_PLAN_EVERY_S, _PLAN_EVERY_REAL_S * speed)
    return PlannerSettings(every_s=every_s, valid_s=max(1800.0, 3 * every_s))


def look_ahead(outlook: Outlook, start: datetime) -> None:
    """What energy costs, and how much carbon dioxide it comes with."""
    outlook.import_price = _daily(_PRICES, start)
    outlook.carbon_kg_per_kwh = _daily(_CARBON, start)


async def keep_planning(controller: ControllerServer, link: SiteLink, site: Site, clock: Clock) -> None:
    """Plan ahead, and pass on what happens to limits, until cancelled."""
    surroundings = controller.endpoint.controller.surroundings
    settings = surroundings.outlook.settings
    planner = PlanMaker(site, slot_s=settings.slot_s, deadline_s=settings.deadline_s)

    def done(plan: Plan | None, task: PlanTask) -> None:
        # Prices rise all day: what is drawn earlier than planned is never dearer, so nothing is left unused.
        plan = None if plan is None else msgspec.structs.replace(plan, binding=False)
        controller.tell(lambda brain, _: brain.surroundings.planned(plan, task))

    try:
        while True:
            news, surroundings.news = surroundings.news, []
            for one in news:
                if isinstance(one, Happened):
                    link.limit_changed(one.sentence, clock.now())
                else:
                    controller.endpoint.raised(one, clock.now())
            task = None if planner.busy else surroundings.plan_task(clock.now())
            if task is not None:
                await planner.make(task, done)
            await asyncio.sleep(_LOOKS_S)
    finally:
        planner.close()


def wishes_of(sessions: Sequence[RecordedSession]) -> dict[str, TokenWish]:
    """What the recorded drivers asked for, by their tokens."""
    zone = ZoneInfo(ZONE)
    return {
        token_of(session).value: TokenWish(
            departs=(session.estimated_departure or session.departure).astimezone(zone).time().replace(microsecond=0),
            time_zone=ZONE,
            energy_kwh=session.requested_wh / 1000.0,
        )
        for session in sessions
    }


def _daily(values: Sequence[float], start: datetime) -> Curve:
    midnight = start.astimezone(ZoneInfo(ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = range(_DAYS * len(values))
    return Curve([midnight + timedelta(hours=hour) for hour in hours], [values[hour % 24] for hour in hours])
