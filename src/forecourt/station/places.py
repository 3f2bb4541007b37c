"""Where a token may charge: which EVSE takes it, for whom, and which plug it follows.

Guarantees
* A token goes only where an EVSE is usable and reservations leave it to this token (OCPP 1.6 §5.13; `reservations`).
* A plug that waited too long for a token needs to be meant: by its own reader, a reservation, or for want of another
  EVSE (errata §3.20).
* A remote start prefers the EVSE that is reserved for its token, then a plug that waits, then a free EVSE (§5.11; OCTT
  TC_026, TC_027).
"""

from collections.abc import Callable, Iterable

import msgspec

from forecourt.domain.profile import ChargingProfile
from forecourt.domain.token import IdToken
from forecourt.station.authorization import Contract
from forecourt.station.evse import Evse
from forecourt.station.reservations import Reservations
from forecourt.station.status import Ground


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a token was presented for."""

    evse_id: int | None = None
    """Where; None: the station chooses."""
    remote: bool = False
    remote_start_id: int | None = None
    profile: ChargingProfile | None = None
    group_id_token: IdToken | None = None
    """The token's group, where it is known without asking."""
    contract: Contract | None = None
    """What stands behind it, where it came from a car."""


class Places:
    """The EVSEs of one station, as tokens find them. `admits`: whether transactions may start at all now."""

    __slots__ = ("_admits", "_evses", "_ground", "_reservations")

    def __init__(
        self, ground: Ground, evses: dict[int, Evse], reservations: Reservations, admits: Callable[[], bool]
    ) -> None:
        self._ground = ground
        self._evses = evses
        self._reservations = reservations
        self._admits = admits

    def at(self, evse_id: int | None) -> list[Evse]:
        """The one that is meant; None: any of them."""
        if evse_id is None:
            return list(self._evses.values())
        evse = self._evses.get(evse_id)
        return [] if evse is None else [evse]

    def takes(self, evse: Evse, evse_id: int | None, id_token: IdToken, group: IdToken | None) -> bool:
        """Whether a token may go here, but for reservations of others.

        A plug that has waited too long needs to be meant (errata §3.20), be it by a reservation.
        """
        if not evse.usable or evse.authorization is not None:
            return False
        meant = evse_id is not None or len(self._evses) == 1
        meant = meant or self._reservations.is_kept_for(evse, id_token, group)
        return meant or not evse.occupied or not evse.finished

    def for_remote_start(self, id_token: IdToken, wish: Wish, *, ask: bool) -> Evse | None:
        """Where a remote start can be tried; None: nowhere (OCPP 1.6 §5.11; OCTT TC_026, TC_027).

        `ask`: the CSMS will be asked about the token first, and may tell the group that a reservation is for.
        """
        if not self._admits() or self._ground.faulted:
            return None
        group = wish.group_id_token
        places = [evse for evse in self.at(wish.evse_id) if evse.usable and evse.authorization is None]
        places = [
            evse
            for evse in places
            if self._reservations.admits(evse, id_token, group)
            or (ask and self._reservations.may_admit(evse, id_token))
        ]
        places.sort(
            key=lambda evse: (
                not self._reservations.is_kept_for(evse, id_token, group),
                not evse.waiting_for_token,
                evse.occupied,
            )
        )
        return next((evse for evse in places if wish.evse_id is not None or not evse.finished), None)

    def bring_along(self, evse: Evse) -> None:
        """A token that waits elsewhere for want of a better place follows the plug, to where it can charge."""
        if not evse.usable or self._ground.faulted:
            return
        for other in self._evses.values():
            waiting = other.authorization
            if other is evse or waiting is None or not waiting.movable or other.car_connected:
                continue
            if self._reservations.admits(evse, waiting.id_token, waiting.group_id_token):
                evse.authorization, other.authorization = waiting, None
                other.preparing_since_s = None
                return


def of_group(group: IdToken | None, places: Iterable[Evse]) -> Evse | None:
    """The transaction that a token of this group may stop."""
    for evse in places:
        running = None if evse.transaction is None else evse.transaction.group_id_token
        if group is not None and running is not None and running.key == group.key:
            return evse
    return None
