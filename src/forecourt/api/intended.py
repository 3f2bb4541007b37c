"""`/stations/{id}/intended-schedule`: what its profiles, and one more being made, come to by our own reading."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from forecourt.api.authentication import ApiScope, CallerContext
from forecourt.api.bodies import Asked, Number
from forecourt.api.problems import documented
from forecourt.api.profile_bodies import ProfileBody
from forecourt.csms.intended import Wanted, intended_schedule
from forecourt.domain.profile import ChargingProfile, ChargingRateUnit, CompositeSchedule

LONGEST_S = 14 * 86_400


class IntendedBody(Asked, frozen=True, kw_only=True):
    """What is asked."""

    evse_id: Number = 1
    """0: the station as a whole."""
    duration_s: Annotated[int, Meta(ge=1, le=LONGEST_S)] = 86_400
    """From now on."""
    rate_unit: ChargingRateUnit = ChargingRateUnit.A
    hardware_max_a: Annotated[float, Meta(gt=0, le=1e6)] = 32.0
    """What the hardware bears, ampere per phase."""
    draft: ProfileBody | None = None
    """As if it were there."""
    draft_evse_id: Number = 0


@post(
    "/stations/{station_id:str}/intended-schedule",
    status_code=200,
    summary="What a station's charging profiles come to by our own reading, with one more if you like; changes nothing",
    responses=documented(404, 408, 413, 415),
    tags=["Charging profiles"],
    opt={"scope": ApiScope.READ},
)
async def get_intended_schedule(
    context: CallerContext, station_id: FromPath[str], data: JSONBody[IntendedBody]
) -> CompositeSchedule:
    draft = None if data.draft is None else msgspec.convert(data.draft, ChargingProfile, from_attributes=True)
    wanted = Wanted(
        evse_id=data.evse_id,
        duration_s=data.duration_s,
        rate_unit=data.rate_unit,
        hardware_max_a=data.hardware_max_a,
        draft=draft,
        draft_evse_id=data.draft_evse_id,
    )
    return await intended_schedule(context, station_id, wanted)
