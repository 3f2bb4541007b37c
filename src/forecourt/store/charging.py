"""Charging profiles in SQL. See `csms.book_ports.ChargingBooks`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from forecourt.csms.records import ProfileState, StationProfile
from forecourt.domain.profile import ChargingProfile
from forecourt.store.rows import Shape, inserted, within
from forecourt.store.sequences import next_number
from forecourt.store.tables import profiles, stations

_PROFILE: Final = Shape(StationProfile, profiles)


class SqlChargingBooks:
    """See `csms.book_ports.ChargingBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        organisation_id: int,
        station_number: int,
        evse_id: int,
        profile: ChargingProfile,
        state: ProfileState,
        command_id: str | None,
        now: datetime,
    ) -> StationProfile:
        """Enter one."""
        station_id = self._connection.execute(
            select(stations.c.id).where(stations.c.number == station_number)
        ).scalar_one()
        values: dict[str, Any] = {
            "organisation_id": organisation_id,
            "station_number": station_number,
            "station_id": station_id,
            "evse_id": evse_id,
            "profile_id": profile.id,
            "profile": profile,
            "state": state,
            "command_id": command_id,
            "created_at": now,
            "updated_at": now,
        }
        key = inserted(self._connection, insert(profiles), values)
        return StationProfile(number=key, **values)

    def by_command(self, command_id: str) -> list[StationProfile]:
        """What a command gives to its station."""
        query = _PROFILE.select().where(profiles.c.command_id == command_id).order_by(profiles.c.number)
        return _PROFILE.all(self._connection, query)

    def on_station(self, station_number: int, states: Sequence[ProfileState]) -> list[StationProfile]:
        """In the order they were given."""
        query = _PROFILE.select().where(
            profiles.c.station_number == station_number, profiles.c.state.in_(tuple(states))
        )
        return _PROFILE.all(self._connection, query.order_by(profiles.c.number))

    def set_state(self, number: int, state: ProfileState, now: datetime) -> None:
        """What is known of it now."""
        values = {"state": state, "updated_at": now}
        self._connection.execute(update(profiles).where(profiles.c.number == number), values)

    def next_profile_id(self) -> int:
        """Never given before."""
        return next_number(self._connection, "profile_id")

    def page(
        self,
        organisation_id: int,
        *,
        station_number: int | None,
        profile_id: int | None,
        state: ProfileState | None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        before: int | None,
        limit: int,
    ) -> list[StationProfile]:
        """Newest first."""
        query = _PROFILE.select().where(profiles.c.organisation_id == organisation_id)
        if station_number is not None:
            query = query.where(profiles.c.station_number == station_number)
        if profile_id is not None:
            query = query.where(profiles.c.profile_id == profile_id)
        if state is not None:
            query = query.where(profiles.c.state == state)
        query = within(query, profiles.c.created_at, created_from, created_to)
        if before is not None:
            query = query.where(profiles.c.number < before)
        return _PROFILE.all(self._connection, query.order_by(profiles.c.number.desc()).limit(limit))
