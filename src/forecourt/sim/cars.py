"""The cars and drivers that a recording doesn't tell of: made up from each session, the same way each time.

Guarantees
* What is made up depends on the session's id and the seed alone, not on the order or the company it comes in.
* What the driver asked for fits into the battery, and the car reaches it before it calls itself full.
* A token's value has at most 20 characters (OCPP 1.6 §7.28, CiString20Type) and is the same for the same driver.
"""

import hashlib
import math
import random
from typing import Final, NamedTuple

from forecourt.domain.token import IdToken
from forecourt.hardware.vehicle import VehicleSpec
from forecourt.quantities import NOMINAL_VOLTAGE_V
from forecourt.sim.sessions import RecordedSession


class CarKind(NamedTuple):
    """A class of cars, and how common it is."""

    share: float
    number_phases: int
    maximum_a: float
    battery_wh: float
    tells_soc: bool


KINDS: Final = (
    CarKind(0.15, 1, 16.0, 13_000.0, tells_soc=False),  # plug-in hybrids
    CarKind(0.15, 1, 32.0, 40_000.0, tells_soc=False),  # older electric cars
    CarKind(0.50, 3, 16.0, 58_000.0, tells_soc=False),
    CarKind(0.15, 3, 16.0, 77_000.0, tells_soc=True),
    CarKind(0.05, 3, 32.0, 90_000.0, tells_soc=True),
)

_MOST_OF_A_BATTERY: Final = 0.9
"""Nobody asks for more of a battery than this share."""

_CERTAINLY_REACHED_SOC: Final = 0.96
"""Every car made up here charges so far before it calls itself full."""


def vehicle_of(session: RecordedSession, *, seed: int = 0, voltage_v: float = NOMINAL_VOLTAGE_V) -> VehicleSpec:
    """The car of a session."""
    chance = random.Random(f"car {seed} {session.session_id}")
    able = [kind for kind in KINDS if kind.battery_wh * _MOST_OF_A_BATTERY >= session.requested_wh]
    if session.maximum_w is not None:  # recorded: a car that drew this much can
        able = [kind for kind in able if kind.number_phases * kind.maximum_a * voltage_v >= session.maximum_w] or able
    kind = chance.choices(able or KINDS[-1:], [kind.share for kind in able] or [1.0])[0]
    battery_wh = max(kind.battery_wh, math.ceil(session.requested_wh / _MOST_OF_A_BATTERY / 1000.0) * 1000.0)
    share = session.requested_wh / battery_wh
    final_soc = chance.uniform(min(max(share + 0.05, 0.6), _CERTAINLY_REACHED_SOC), _CERTAINLY_REACHED_SOC)
    return VehicleSpec(
        number_phases=kind.number_phases,
        maximum_a=kind.maximum_a,
        battery_wh=battery_wh,
        initial_wh=max(0.0, final_soc * battery_wh - session.requested_wh),
        requested_wh=session.requested_wh,
        taper_soc=round(chance.uniform(0.75, 0.9), 2),
        ramp_s=round(chance.uniform(1.0, 3.5), 1),
        reaction_s=round(chance.uniform(0.2, 1.5), 1),
        tells_soc=kind.tells_soc,
    )


def token_of(session: RecordedSession) -> IdToken:
    """What the driver of a session holds to the reader."""
    digest = hashlib.sha256(session.session_id.encode()).hexdigest().upper()
    return IdToken(f"FC{digest[:14]}")
