"""What the controller knows of tokens, for when the CSMS can't be asked (OCPP 1.6 §3.5).

Guarantees
* Asked in this order: the local list that the CSMS has put on the station, what the CSMS last said of the token, the
  policy for unknown tokens.
* What the CSMS has said at one station of the site counts at all of them; a local list counts at its station.
* Nothing is believed beyond its expiry, nor longer than `age_s`.
* Tokens are compared without regard to case; their number is bounded, and the oldest are forgotten first.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.controller.keeping import Keeping, decoded
from forecourt.domain.journal import JournalState
from forecourt.domain.requests import ListUpdate, SendLocalList
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo

CACHE: Final = "token"
LISTS: Final = "local_list"
_MOST: Final = 10_000


class _Known(msgspec.Struct, frozen=True):
    info: IdTokenInfo
    at: datetime


class Tokens:
    """Those of a site."""

    def __init__(self, keeping: Keeping, memory: JournalState | None, *, age_s: float, accept_unknown: bool) -> None:
        self._keeping = keeping
        self._age = timedelta(seconds=age_s)
        self._accept_unknown = accept_unknown
        self._cache: dict[str, _Known] = {}
        self._lists: dict[str, dict[str, IdTokenInfo]] = {}
        memory = memory or {}
        known = [(key, decoded(raw, _Known)) for key, raw in memory.get(CACHE, {}).items()]
        self._cache.update(sorted(((k, v) for k, v in known if v is not None), key=lambda item: item[1].at))
        for station_id, raw in memory.get(LISTS, {}).items():
            self._lists[station_id] = decoded(raw, dict[str, IdTokenInfo]) or {}

    def learn(self, id_token: IdToken, info: IdTokenInfo, at: datetime) -> None:
        """The CSMS has said this of it."""
        known = _Known(info, at)
        before = self._cache.pop(id_token.key, None)
        self._cache[id_token.key] = known
        if before is None or before.info != info or at - before.at > self._age / 30:
            self._keeping.put(CACHE, id_token.key, known)
        if len(self._cache) > _MOST:
            oldest = next(iter(self._cache))
            del self._cache[oldest]
            self._keeping.delete(CACHE, oldest)

    def vouched(self, id_token: IdToken, at: datetime, for_s: float) -> None:
        """The CSMS has started a transaction for it: good enough for this one, where nothing else is known."""
        if id_token.key not in self._cache:
            expires_at = at + timedelta(seconds=for_s)
            self.learn(id_token, IdTokenInfo(status=AuthorizationStatus.ACCEPTED, expires_at=expires_at), at)

    def listed(self, station_id: str, update: SendLocalList) -> None:
        """The station has taken an update of its local list."""
        entries = dict(self._lists.get(station_id, {})) if update.update is ListUpdate.DIFFERENTIAL else {}
        for entry in update.entries:
            entries.pop(entry.id_token.key, None)
            if entry.id_token_info is not None:
                entries[entry.id_token.key] = entry.id_token_info
        self._lists[station_id] = entries
        self._keeping.put(LISTS, station_id, entries)

    def clear(self) -> None:
        """Forget what the CSMS has said; lists stay."""
        for key in self._cache:
            self._keeping.delete(CACHE, key)
        self._cache.clear()

    def verdict(self, station_id: str, id_token: IdToken, at: datetime) -> IdTokenInfo:
        """What to say of it without the CSMS."""
        info = self._lists.get(station_id, {}).get(id_token.key)
        if info is None:
            known = self._cache.get(id_token.key)
            if known is not None and at - known.at <= self._age:
                info = known.info
        if info is None:
            status = AuthorizationStatus.ACCEPTED if self._accept_unknown else AuthorizationStatus.INVALID
            return IdTokenInfo(status=status)
        if info.status is AuthorizationStatus.ACCEPTED and info.expires_at is not None and info.expires_at <= at:
            return msgspec.structs.replace(info, status=AuthorizationStatus.EXPIRED)
        return info
