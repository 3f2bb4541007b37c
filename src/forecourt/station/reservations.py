"""Reservations: an EVSE, or any EVSE, kept free for a token until it is used, or its time is over.

Guarantees
* On a reserved EVSE only the reservation's token, or one of its group, may charge (OCPP 1.6 §5.13, OCPP 2.0.1 H03).
* A reservation of any EVSE (connector 0) holds none in particular: as many EVSEs are kept for such reservations as
  there are of them, and the EVSEs are shown as Reserved when no more than these are left (§5.13; OCTT TC_049).
* One of the same id is replaced if the new one can be had; if not, the old one stays (§5.13, H01.FR.02).
* It ends when its token starts a transaction there, whose start names it, in the same turn; when it expires; when its
  EVSE or the station has a fault or goes out of use; when it is cancelled (§5.13, §5.1). A station that can say so
  tells of the ends that nobody asked for (H01.FR.20, H04.FR.01), those while it was offline when it is back.
* It survives reboots and power cuts; what expired meanwhile is gone.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from forecourt.domain.events import ReservationEnded
from forecourt.domain.requests import RequestStatus, ReserveNow
from forecourt.domain.reservation import ConnectorType, ReservationEnd
from forecourt.domain.station import Capabilities
from forecourt.domain.token import IdToken
from forecourt.station.effects import ReservationMade, ReservationOver
from forecourt.station.evse import Evse
from forecourt.station.reports import Reports
from forecourt.station.status import Ground
from forecourt.station.turn import Turn
from forecourt.station.variable_table import FEATURE_PROFILES, RESERVATION_ENABLED, RESERVE_ANY_EVSE
from forecourt.station.variables import Variables

SECTION: Final = "reservation"
PROFILE: Final = "Reservation"


class Reservation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reservation, as the journal keeps it. `evse_id` None: of any EVSE."""

    reservation_id: int
    expires_at: datetime
    id_token: IdToken
    group_id_token: IdToken | None = None
    evse_id: int | None = None
    connector_type: ConnectorType | None = None
    """Any EVSE with such a connector; None: whatever it has."""

    def is_for(self, id_token: IdToken, group: IdToken | None) -> bool:
        """Whether this token, of this group, may use it."""
        if id_token.key == self.id_token.key:
            return True
        return group is not None and self.group_id_token is not None and group.key == self.group_id_token.key


decode_record = msgspec.json.Decoder(Reservation).decode


class Reservations:
    """The reservations of one station."""

    __slots__ = ("_capabilities", "_entries", "_evses", "_ground", "_reports", "_shown", "_variables", "_zero")

    def __init__(
        self,
        capabilities: Capabilities,
        variables: Variables,
        reports: Reports,
        ground: Ground,
        evses: Mapping[int, Evse],
    ) -> None:
        self._capabilities = capabilities
        self._variables = variables
        self._reports = reports
        self._ground = ground
        self._evses = evses
        self._entries: dict[int, Reservation] = {}
        """In the order they were made."""
        self._shown = True
        """Whether an EVSE may still be marked as reserved."""
        self._zero: tuple[datetime, float] | None = None

    def restore(self, stored: Mapping[str, bytes], turn: Turn) -> None:
        """Take the journal's reservations."""
        for raw in stored.values():
            entry = decode_record(raw)
            if entry.evse_id is None or entry.evse_id in self._evses:
                self._entries[entry.reservation_id] = entry
                turn.emit(_made(entry))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[Reservation, ...]:
        """What is reserved now."""
        return tuple(self._entries.values())

    # What a CSMS asks

    def refusal(self, request: ReserveNow, turn: Turn) -> RequestStatus | None:
        """Why this can't be reserved; None when it can."""
        any_evse = not request.evse_id
        evse = None if any_evse else self._evses.get(request.evse_id or 0)
        enabled = PROFILE in self._variables.members(FEATURE_PROFILES) and self._variables.boolean(RESERVATION_ENABLED)
        if not enabled or (any_evse and not self._variables.boolean(RESERVE_ANY_EVSE)):
            return RequestStatus.REJECTED
        wanted = _read(request)
        places = [place for place in (self._evses.values() if any_evse else [evse]) if place and _fits(wanted, place)]
        if not places or request.expires_at <= turn.at:
            return RequestStatus.REJECTED
        if self._ground.faulted or all(place.faulted for place in places):
            return RequestStatus.FAULTED
        if not self._ground.operative or all(place.faulted or not place.operative for place in places):
            return RequestStatus.UNAVAILABLE
        others = [entry for entry in self._entries.values() if entry.reservation_id != wanted.reservation_id]
        taken = {entry.evse_id for entry in others}
        free = [
            place
            for place in self._evses.values()
            if _is_open(place) and not place.occupied and place.evse_id not in taken
        ]
        waiting = [entry for entry in others if entry.evse_id is None]
        if any_evse:
            possible = _enough(free, [*waiting, wanted])
        else:
            possible = evse in free and _enough([place for place in free if place is not evse], waiting)
        return None if possible else RequestStatus.OCCUPIED

    def make(self, request: ReserveNow, turn: Turn) -> None:
        """Make a reservation that was not refused, in place of one of the same id."""
        entry = _read(request)
        self._end(entry.reservation_id, turn)
        self._entries[entry.reservation_id] = entry
        turn.put(SECTION, str(entry.reservation_id), entry)
        turn.emit(_made(entry))

    def __contains__(self, reservation_id: object) -> bool:
        return reservation_id in self._entries

    def cancel(self, reservation_id: int, turn: Turn) -> None:
        """Give one up; nothing, if there is none of this id."""
        self._end(reservation_id, turn)

    # Who may charge where

    def admits(self, evse: Evse, id_token: IdToken, group: IdToken | None) -> bool:
        """Whether reservations leave this EVSE to this token, of this group as far as it is known."""
        here = self._of(evse)
        if here is not None:
            return here.is_for(id_token, group)
        waiting = self._of_any()
        if any(entry.is_for(id_token, group) and _fits(entry, evse) for entry in waiting):
            return True
        return _enough([place for place in self._open() if place is not evse], waiting)

    def may_admit(self, evse: Evse, id_token: IdToken) -> bool:
        """As `admits`, before the token's group is known: only it may open what the token does not."""
        if self.admits(evse, id_token, None):
            return True
        here = self._of(evse)
        held = self._of_any() if here is None else [here]
        return any(entry.group_id_token is not None for entry in held)

    def is_kept_for(self, evse: Evse, id_token: IdToken, group: IdToken | None) -> bool:
        """Whether this very EVSE is reserved for this token."""
        here = self._of(evse)
        return here is not None and here.is_for(id_token, group)

    def use(self, evse: Evse, id_token: IdToken, group: IdToken | None, turn: Turn) -> int | None:
        """A transaction starts here for this token: the id of the reservation that it has used up, if it had one."""
        here = self._of(evse)
        of_any = [entry for entry in self._entries.values() if entry.evse_id is None and _fits(entry, evse)]
        for entry in of_any if here is None else [here]:
            if entry.is_for(id_token, group):
                self._end(entry.reservation_id, turn)
                return entry.reservation_id
        return None

    # Time and mishaps

    def update(self, turn: Turn) -> None:
        """End what has expired or can't be kept; note which EVSEs are to be shown as reserved."""
        if not self._entries and not self._shown:
            return
        self._shown = bool(self._entries)
        self._zero = (turn.at, turn.now.elapsed_s)
        for entry in tuple(self._entries.values()):
            if entry.expires_at <= turn.at:
                self._end(entry.reservation_id, turn, ReservationEnd.EXPIRED)
            elif not self._can_be_kept(entry):
                self._end(entry.reservation_id, turn, ReservationEnd.REMOVED)
        in_use = sum(1 for evse in self._evses.values() if evse.operative and not evse.faulted)
        for entry in tuple(reversed(self._entries.values()))[: max(0, len(self._entries) - in_use)]:
            self._end(entry.reservation_id, turn, ReservationEnd.REMOVED)
        held = {entry.evse_id for entry in self._entries.values()}
        waiting = self._of_any()
        open_ = self._open() if waiting else []
        for evse in self._evses.values():
            needed = evse in open_ and not evse.occupied
            needed = needed and not _enough([place for place in open_ if place is not evse], waiting)
            evse.reserved = evse.evse_id in held or needed

    def next_deadline_s(self) -> float | None:
        """When to call `update`, on the world's clock."""
        first = min((entry.expires_at for entry in self._entries.values()), default=None)
        if first is None or self._zero is None:
            return None
        zero_at, zero_s = self._zero
        return zero_s + max(0.0, (first - zero_at).total_seconds())

    # Inside

    def _of(self, evse: Evse) -> Reservation | None:
        """The reservation of this very EVSE."""
        return next((entry for entry in self._entries.values() if entry.evse_id == evse.evse_id), None)

    def _of_any(self) -> list[Reservation]:
        """The reservations of any EVSE whose driver has not yet chosen one."""
        waiting = [entry for entry in self._entries.values() if entry.evse_id is None]
        for evse in self._evses.values() if waiting else ():
            granted = evse.authorization
            if granted is not None and self._of(evse) is None:
                mine = (entry for entry in waiting if entry.is_for(granted.id_token, granted.group_id_token))
                if (chosen := next(mine, None)) is not None:
                    waiting.remove(chosen)
        return waiting

    def _open(self) -> list[Evse]:
        """Where the driver of a reservation of any EVSE could go."""
        held = {entry.evse_id for entry in self._entries.values()}
        return [evse for evse in self._evses.values() if _is_open(evse) and evse.evse_id not in held]

    def _can_be_kept(self, entry: Reservation) -> bool:
        if self._ground.faulted or not self._ground.operative:
            return False
        evse = None if entry.evse_id is None else self._evses[entry.evse_id]
        return evse is None or (evse.operative and not evse.faulted)

    def _end(self, reservation_id: int, turn: Turn, told: ReservationEnd | None = None) -> bool:
        if self._entries.pop(reservation_id, None) is None:
            return False
        turn.delete(SECTION, str(reservation_id))
        turn.emit(ReservationOver(reservation_id))
        if told is not None and self._capabilities.reports_reservation_ends:
            event = ReservationEnded(reservation_id=reservation_id, end=told)
            self._reports.add(event, turn)
        return True


def _is_open(evse: Evse) -> bool:
    """Whether a token could be used here, but for reservations. A car that nobody has paid for yet may be theirs."""
    return evse.usable and evse.authorization is None and not (evse.occupied and evse.finished)


def _fits(entry: Reservation, evse: Evse) -> bool:
    return entry.connector_type is None or entry.connector_type is evse.config.connector_type


def _enough(evses: list[Evse], waiting: list[Reservation]) -> bool:
    """Whether each of `waiting` can have one of `evses`: each EVSE has one type, so counting by type decides."""
    types = Counter(entry.connector_type for entry in waiting if entry.connector_type is not None)
    there = Counter(evse.config.connector_type for evse in evses)
    return len(waiting) <= len(evses) and all(count <= there[kind] for kind, count in types.items())


def _read(request: ReserveNow) -> Reservation:
    return Reservation(
        reservation_id=request.reservation_id,
        expires_at=request.expires_at,
        id_token=request.id_token,
        group_id_token=request.group_id_token,
        evse_id=request.evse_id or None,
        connector_type=request.connector_type,
    )


def _made(entry: Reservation) -> ReservationMade:
    return ReservationMade(entry.reservation_id, entry.evse_id, entry.id_token, entry.group_id_token, entry.expires_at)
