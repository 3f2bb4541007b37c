"""What the books know of a load group's members: the ground that `group_decision` stands on.

Guarantees
* An EVSE is a member of one group only: where several name it, of the one that names it most closely (itself, then its
  station, then its location), and among those of the oldest.
* What was said to a station is read from the profiles in the books, so that a CSMS that begins anew knows what its
  stations hold: there is no other memory.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from forecourt.csms.group_exposure import EvseFacts, Way
from forecourt.csms.group_records import GroupEvse, GroupMember, LoadGroup
from forecourt.csms.group_settings import GroupSettings
from forecourt.csms.ports import Books
from forecourt.csms.profile_forms import Form, Says, form_of, ladder, said
from forecourt.csms.records import Connector, ProfileState, Station, StationProfile, Transaction, TransactionState
from forecourt.csms.wishes import in_force
from forecourt.domain.composite import ActiveTransaction, ChargingContext, limit_at
from forecourt.domain.profile import ChargingProfilePurpose, ChargingRateUnit, InstalledProfile
from forecourt.domain.site import EvseKey
from forecourt.domain.transaction import ChargingState
from forecourt.quantities import current_of_power

_TAKEN: Final = frozenset({ProfileState.INSTALLED, ProfileState.REPLACED, ProfileState.CLEARED})
_THERE: Final = (ProfileState.INSTALLED, ProfileState.PENDING, ProfileState.UNKNOWN)
_ATTEMPTS: Final = 12
"""So many of the last requests to an EVSE are looked at."""
_FRESH: Final = timedelta(minutes=5)
_STATIONS_AT_ONCE: Final = 500


class Place(NamedTuple):
    """An EVSE, and the group that it is a member of."""

    station: Station
    evse_id: int
    group_number: int
    member: GroupMember


def places(books: Books, organisation_id: int, groups: Iterable[LoadGroup]) -> list[Place]:
    """The EVSEs of all groups, each once."""
    found: dict[tuple[int, int], tuple[tuple[int, int], Place]] = {}
    for group in groups:
        for member in group.members:
            rank = (-member.closeness, group.number)
            for station, evse_id in _evses(books, organisation_id, member):
                key = (station.number, evse_id)
                if key not in found or rank < found[key][0]:
                    found[key] = rank, Place(station, evse_id, group.number, member)
    return [place for _, (_, place) in sorted(found.items())]


def _evses(books: Books, organisation_id: int, member: GroupMember) -> list[tuple[Station, int]]:
    stations: list[Station] = []
    if member.station_id is not None:
        station = books.stations.get(organisation_id, member.station_id)
        stations = [] if station is None else [station]
    else:
        before: int | None = None
        while True:
            some = books.stations.page(
                organisation_id,
                location_id=member.location_id,
                connected=None,
                registration=None,
                before=before,
                limit=_STATIONS_AT_ONCE,
            )
            stations += some
            if len(some) < _STATIONS_AT_ONCE:
                break
            before = some[-1].number
    found: list[tuple[Station, int]] = []
    for station in stations:
        known = {one.evse_id for one in books.stations.connectors(station.number) if one.evse_id > 0}
        wanted = known or {1} if member.evse_id is None else {member.evse_id}
        found += [(station, evse_id) for evse_id in sorted(wanted)]
    return found


def facts_of(books: Books, place: Place, ids: GroupEvse, at: datetime, settings: GroupSettings) -> EvseFacts:
    """Everything that is known of one."""
    station, evse_id, member = place.station, place.evse_id, place.member
    connectors = [one for one in books.stations.connectors(station.number) if one.evse_id > 0]
    mine = [one for one in connectors if one.evse_id == evse_id]
    running = books.transactions.active_on(station.number, evse_id)
    runs = running[0] if running else None
    active = None
    if runs is not None and runs.transaction_id is not None:
        active = ActiveTransaction(runs.transaction_id, runs.started_at or runs.created_at)
    known = books.charging.on_station(station.number, _THERE)
    known = [entry for entry in known if not _is_over(books, entry)]
    says = said(books.stations.reported(station.number))
    single = len({one.evse_id for one in connectors} | {evse_id}) == 1
    way = _Ways(books, station, at, settings, says, single=single)
    meets = ChargingContext(hardware_max_a=1e9, transaction=active, number_phases=member.phases)
    own = [entry for entry in known if entry.profile_id in {ids.base_profile_id, ids.transaction_profile_id}]
    measured_a, measured_at = _measured(mine, member.phases, at)
    wish = None if runs is None else in_force(books, runs, at)
    remaining_wh = None
    if runs is not None and wish is not None and wish.energy_wh is not None:
        remaining_wh = max(0.0, wish.energy_wh - (runs.energy_wh or 0.0))
    return EvseFacts(
        key=EvseKey(station.id, evse_id),
        group_number=place.group_number,
        member=member,
        connected=station.connected,
        booted_at=station.booted_at,
        transaction=active,
        transaction_number=None if runs is None else runs.number,
        takes_nothing=runs is not None and runs.charging_state is ChargingState.SUSPENDED_EV,
        measured_a=measured_a,
        measured_at=measured_at,
        departs_at=None if wish is None else wish.departs_at,
        remaining_wh=remaining_wh,
        installed=_installed(known, ProfileState.INSTALLED),
        uncertain=_installed(known, ProfileState.PENDING, ProfileState.UNKNOWN),
        open=any(entry.state is ProfileState.PENDING for entry in own),
        base=way.of(ids.base_profile_id, ChargingProfilePurpose.TX_DEFAULT, evse_id, meets, None),
        bound=way.of(ids.transaction_profile_id, ChargingProfilePurpose.TX, evse_id, meets, active),
    )


def _is_over(books: Books, entry: StationProfile) -> bool:
    """It was for a transaction that its station has ended, and has gone with it (OCPP 1.6 §3.13.1)."""
    transaction_id = entry.profile.transaction_id
    if entry.profile.purpose is not ChargingProfilePurpose.TX or transaction_id is None:
        return False
    known: Transaction | None = books.transactions.by_wire_id(entry.station_number, transaction_id)
    return known is not None and known.state is TransactionState.ENDED


def _installed(known: Sequence[StationProfile], *states: ProfileState) -> tuple[InstalledProfile, ...]:
    return tuple(InstalledProfile(entry.evse_id, entry.profile) for entry in known if entry.state in states)


def _measured(connectors: list[Connector], phases: int, at: datetime) -> tuple[float | None, datetime | None]:
    """By the last reading of power, if it is fresh."""
    fresh = [one for one in connectors if one.power_w is not None and one.power_at is not None]
    fresh = [one for one in fresh if one.power_at is not None and at - one.power_at < _FRESH]
    if not fresh:
        return None, None
    power_w = sum(one.power_w or 0.0 for one in fresh)
    return current_of_power(power_w, phases), max(one.power_at for one in fresh if one.power_at is not None)


class _Ways:
    """What was said to a station, and how it took it."""

    def __init__(
        self, books: Books, station: Station, at: datetime, settings: GroupSettings, says: Says, *, single: bool
    ) -> None:
        self._books, self._station, self._at = books, station, at
        self._settings, self._says, self._single = settings, says, single

    def of(
        self,
        profile_id: int,
        purpose: ChargingProfilePurpose,
        evse_id: int,
        meets: ChargingContext,
        active: ActiveTransaction | None,
    ) -> Way:
        """One of the two ways."""
        meant = Form(purpose, ChargingRateUnit.A, self._settings.stack_level)
        only = (purpose,) if purpose is ChargingProfilePurpose.TX else None
        forms = ladder(meant, self._says, single_evse=self._single, purposes=only)
        told = self._books.charging.page(
            self._station.organisation_id,
            station_number=self._station.number,
            profile_id=profile_id,
            state=None,
            before=None,
            limit=_ATTEMPTS,
        )
        told = [entry for entry in told if entry.state is not ProfileState.NOT_SENT]
        taken = next((form_of(entry.profile) for entry in told if entry.state in _TAKEN), None)
        form = forms.index(taken) if taken in forms else 0
        retry_at, refused = None, False
        retry = timedelta(seconds=self._settings.retry_s)
        mine = [entry for entry in told if active is None or entry.profile.transaction_id == active.transaction_id]
        if purpose is ChargingProfilePurpose.TX_DEFAULT:
            mine = told
        last = mine[0] if mine else None
        if last is not None and last.state is ProfileState.UNKNOWN:
            retry_at = last.updated_at + retry
        elif last is not None and last.state is ProfileState.REJECTED:
            rejected = form_of(last.profile)
            form = forms.index(rejected) + 1 if rejected in forms else 0
            if form == len(forms):
                form, refused, retry_at = 0, True, last.updated_at + retry
        elif last is not None and last.state is ProfileState.PENDING:
            # While the next attempt is on its way, it has still refused all that came before.
            refused = any(entry.state is ProfileState.REJECTED for entry in mine[1:2]) and (
                form_of(last.profile) == forms[0]
            )
        limit_a, lease_until, installed_at = None, None, None
        there = next((entry for entry in mine if entry.state is ProfileState.INSTALLED), None)
        if there is not None:
            limit = limit_at(
                [InstalledProfile(there.evse_id, there.profile)], evse_id, self._at, ChargingRateUnit.A, meets
            )
            if limit.winner is not None:
                limit_a, lease_until, installed_at = limit.rate_limit, limit.until, there.updated_at
        return Way(
            profile_id=profile_id,
            forms=forms,
            form=form,
            limit_a=limit_a,
            lease_until=lease_until,
            installed_at=installed_at,
            retry_at=retry_at,
            refused=refused,
        )
