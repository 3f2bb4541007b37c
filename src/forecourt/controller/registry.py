"""Stations that the CSMS has accepted, and what the controller needs to receive them again without it.

Guarantees (`controller.md` §1, offline)
* A station that boots while the CSMS can't be asked is accepted only if the CSMS had accepted it before, under the same
  vendor, model and serial numbers, not longer ago than the age limit; any other is Pending.
* An answer of the CSMS that is not Accepted ends it.
* Credentials are kept as a salted digest, never as they are; passwords towards the CSMS are kept as they are, for they
  have to be said: the journal is its owner's alone.
* Of two passwords the older is kept until the newer has worked.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.controller.keeping import Keeping, decoded
from forecourt.domain.journal import JournalState
from forecourt.domain.station import RegistrationStatus, StationIdentity

STATIONS: Final = "station"
PASSWORDS: Final = "password"
UPSTREAMS: Final = "upstream"


class Registered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one station. `accepted_at` None: the CSMS has not accepted it."""

    subprotocol: str | None = None
    identity: StationIdentity | None = None
    accepted_at: datetime | None = None
    sample_interval_s: int | None = None
    """How often the CSMS wants readings; None: it has not said."""
    measurands: dict[str, str] = {}
    """What the CSMS takes the station to sample, by variable, where the control has it sample more."""
    credential: str | None = None
    """A digest of what it last showed, and the CSMS let in."""


class Registry:
    """All stations of a site."""

    def __init__(self, keeping: Keeping, memory: JournalState | None, *, age_s: float) -> None:
        self._keeping = keeping
        self._age = timedelta(seconds=age_s)
        memory = memory or {}
        self._stations: dict[str, Registered] = {
            key: found for key, raw in memory.get(STATIONS, {}).items() if (found := decoded(raw, Registered))
        }
        self._passwords: dict[str, tuple[str, ...]] = {
            key: found for key, raw in memory.get(PASSWORDS, {}).items() if (found := decoded(raw, tuple[str, ...]))
        }

        self._upstreams: dict[str, str] = {
            key: found for key, raw in memory.get(UPSTREAMS, {}).items() if (found := decoded(raw, str))
        }

    def of(self, station_id: str) -> Registered:
        """What is known of a station."""
        return self._stations.get(station_id, Registered())

    def accepted(self, station_id: str, identity: StationIdentity, subprotocol: str, at: datetime) -> None:
        """The CSMS has accepted its boot."""
        known = self.of(station_id)
        self._put(
            station_id,
            msgspec.structs.replace(known, subprotocol=subprotocol, identity=identity, accepted_at=at),
        )

    def not_accepted(self, station_id: str) -> None:
        """The CSMS has answered otherwise."""
        known = self.of(station_id)
        if known.accepted_at is not None:
            self._put(station_id, msgspec.structs.replace(known, accepted_at=None))

    def let_in(self, station_id: str, subprotocol: str, credential: str | None) -> None:
        """The CSMS has let it in with these credentials."""
        known = self.of(station_id)
        told = msgspec.structs.replace(known, subprotocol=subprotocol, credential=credential)
        if told != known:
            self._put(station_id, told)

    def wants_samples(self, station_id: str, interval_s: int) -> None:
        """The CSMS has said how often it wants readings, and the station has agreed."""
        self._put(station_id, msgspec.structs.replace(self.of(station_id), sample_interval_s=interval_s))

    def samples(self, station_id: str, measurands: dict[str, str]) -> None:
        """What the CSMS takes a station to sample."""
        known = self.of(station_id)
        if known.measurands != measurands:
            self._put(station_id, msgspec.structs.replace(known, measurands=measurands))

    def is_accepted(self, station_id: str, at: datetime) -> bool:
        """Whether the CSMS has accepted it, not too long ago."""
        known = self.of(station_id)
        return known.accepted_at is not None and at - known.accepted_at <= self._age

    def verdict(self, station_id: str, identity: StationIdentity, at: datetime) -> RegistrationStatus:
        """What to say to a boot without the CSMS."""
        known = self.of(station_id).identity
        same = known is not None and _who(known) == _who(identity)
        return RegistrationStatus.ACCEPTED if same and self.is_accepted(station_id, at) else RegistrationStatus.PENDING

    # another CSMS than the site's

    def upstream_url(self, station_id: str) -> str | None:
        """Where a station is relayed to; None: where all are."""
        return self._upstreams.get(station_id)

    def set_upstream_url(self, station_id: str, url: str | None) -> None:
        """A person has said so."""
        self._upstreams.pop(station_id, None)
        if url is None:
            self._keeping.delete(UPSTREAMS, station_id)
        else:
            self._upstreams[station_id] = url
            self._keeping.put(UPSTREAMS, station_id, url)

    # passwords towards the CSMS

    def passwords(self, station_id: str, installed: str | None) -> tuple[str, ...]:
        """Those to try, newest first; `installed` is the site file's."""
        kept = self._passwords.get(station_id, ())
        return kept if installed is None else tuple(dict.fromkeys((*kept, installed)))

    def new_password(self, station_id: str, password: str, installed: str | None) -> None:
        """The CSMS has set another; the one that works now is kept until this one has worked."""
        before = self.passwords(station_id, installed)
        self._keep_passwords(station_id, tuple(dict.fromkeys((password, *before))))

    def password_worked(self, station_id: str, password: str) -> None:
        """The CSMS has let in with it: older ones are over, newer ones are not."""
        kept = self._passwords.get(station_id, ())
        if password in kept and kept[-1] != password:
            self._keep_passwords(station_id, kept[: kept.index(password) + 1])

    def _keep_passwords(self, station_id: str, passwords: tuple[str, ...]) -> None:
        self._passwords[station_id] = passwords
        self._keeping.put(PASSWORDS, station_id, passwords)

    def _put(self, station_id: str, told: Registered) -> None:
        self._stations[station_id] = told
        self._keeping.put(STATIONS, station_id, told)


def _who(identity: StationIdentity) -> tuple[str | None, ...]:
    return (identity.vendor_name, identity.model, identity.serial_number, identity.controller_serial_number)
