"""What a grid operator leaves to controllable consumers while it dims them (§ 14a EnWG, Germany).

Guarantees
* The power is that of the Bundesnetzagentur's decision BK6-22-300, annex 1, section 4.5 for an energy management that
  steers several devices: 4.2 kW for the first, and for each further one 4.2 kW times the factor of simultaneity for
  their number (0.8 for two, down to 0.45 for nine and more). For heat pumps and air conditioning above 11 kW 0.4 of
  their rated power takes the place of the first device's 4.2 kW where it is more.
* It is what they may draw from the grid together; what is generated on site comes on top.
"""

from typing import Final

MINIMUM_W: Final = 4200.0
LARGE_W: Final = 11_000.0
LARGE_SHARE: Final = 0.4

_SIMULTANEITY: Final = {2: 0.8, 3: 0.75, 4: 0.7, 5: 0.65, 6: 0.6, 7: 0.55, 8: 0.5}
_MANY: Final = 0.45


def simultaneity(devices: int) -> float:
    """The factor for so many devices."""
    return 1.0 if devices < 2 else _SIMULTANEITY.get(devices, _MANY)


def guaranteed_w(devices: int, large_w: float = 0.0) -> float:
    """What so many devices are left together.

    `devices` counts all that are steered, heat pumps included; `large_w` is the rated power of those heat pumps that
    have more than 11 kW, or of such air conditioning, whichever sum is larger. ValueError without a device.
    """
    if devices < 1:
        raise ValueError(f"devices: expected at least 1, got {devices}")
    first_w = max(MINIMUM_W, LARGE_SHARE * large_w) if large_w > LARGE_W else MINIMUM_W
    return first_w + (devices - 1) * simultaneity(devices) * MINIMUM_W
