"""Provisional transaction ids: what a station is told while the CSMS can't be asked, and what the CSMS says later.

Guarantees (`controller.md` §1, offline)
* Provisional ids are the numbers from `FIRST` to `LAST`, given out once each, in order, for all stations of the site.
* In what a station hears, an id in that range is always one of these: one that the CSMS itself issues there is given
  to the station under a provisional id too. So none can be taken for another.
* The two directions are each other's inverse; an id without a pair stands for itself.
* A pair is kept until `_KEPT` later ones of the same station are known, for a station that repeats itself.
"""

from typing import Final

from forecourt.controller.keeping import Keeping, decoded
from forecourt.domain.journal import JournalState

FIRST: Final = 2_000_000_000
LAST: Final = 2_147_483_647
NOBODYS: Final = "-1"
"""Stands for a transaction whose start the CSMS would not take (OCPP 1.6 errata §3.18)."""

SECTION: Final = "transaction_id"
_LAST_KEY: Final = "last"
_COUNTER: Final = "counter"
_KEPT: Final = 256


class ProvisionalIds:
    """All of a site."""

    def __init__(self, keeping: Keeping, memory: JournalState | None = None) -> None:
        self._keeping = keeping
        self._pairs: dict[str, dict[str, str | None]] = {}
        """By station: provisional id to the CSMS's; None while the CSMS has not said."""
        self._last = FIRST - 1
        memory = memory or {}
        last = memory.get(_COUNTER, {}).get(_LAST_KEY)
        if last is not None:
            self._last = decoded(last, int) or self._last
        for key, raw in sorted(memory.get(SECTION, {}).items()):
            station_id, _, provisional = key.rpartition("/")
            self._pairs.setdefault(station_id, {})[provisional] = decoded(raw, str | None)

    def fresh(self, station_id: str) -> str:
        """A new one, whose pair isn't known yet."""
        self._last = FIRST if self._last >= LAST else self._last + 1
        self._keeping.put(_COUNTER, _LAST_KEY, self._last)
        provisional = str(self._last)
        self._pair(station_id, provisional, None)
        return provisional

    def issued(self, station_id: str, csms_id: str) -> str:
        """The id to tell the station for one that the CSMS has issued just now."""
        if not _in_range(csms_id):
            return csms_id
        provisional = self.of_csms(station_id, csms_id)
        if provisional == NOBODYS:
            provisional = self.fresh(station_id)
            self._pair(station_id, provisional, csms_id)
        return provisional

    def learn(self, station_id: str, provisional: str, csms_id: str) -> None:
        """The CSMS has issued the id of a transaction that the station knows by a provisional one."""
        if _in_range(provisional):
            self._pair(station_id, provisional, csms_id)

    def known(self, station_id: str, own_id: str) -> bool:
        """Whether the CSMS's id is known for what the station calls `own_id`."""
        return not _in_range(own_id) or self._pairs.get(station_id, {}).get(own_id) is not None

    def of_station(self, station_id: str, own_id: str) -> str:
        """The CSMS's id for what the station calls `own_id`."""
        if not _in_range(own_id):
            return own_id
        return self._pairs.get(station_id, {}).get(own_id) or NOBODYS

    def of_csms(self, station_id: str, csms_id: str) -> str:
        """The station's id for what the CSMS calls `csms_id`; the newest where the CSMS has booked two as one."""
        for provisional, real in reversed(self._pairs.get(station_id, {}).items()):
            if real == csms_id:
                return provisional
        return NOBODYS if _in_range(csms_id) else csms_id

    def _pair(self, station_id: str, provisional: str, csms_id: str | None) -> None:
        pairs = self._pairs.setdefault(station_id, {})
        pairs[provisional] = csms_id
        self._keeping.put(SECTION, f"{station_id}/{provisional}", csms_id)
        for old in [key for key, real in pairs.items() if real is not None][: max(0, len(pairs) - _KEPT)]:
            del pairs[old]
            self._keeping.delete(SECTION, f"{station_id}/{old}")


def _in_range(number: str) -> bool:
    return number.isdigit() and FIRST <= int(number) <= LAST
