"""The authorization cache: what the CSMS has said of tokens, kept for when it can't be asked or need not be.

Guarantees
* It holds the latest word on every token that the CSMS was asked about, valid or not, from every answer that carries
  one (OCPP 1.6 §3.5.1, OCPP 2.0.1 C10); tokens on the local list are not added (§3.5.3).
* An entry whose validity has ended reads as Expired (§3.5.1); its end is the date that the CSMS gave, or
  AuthCacheCtrlr.LifeTime after the token was last used, whichever comes first.
* It holds `StationConfig.cache_size` tokens at most. When it is full, the entries that are not valid go first, all of
  them, then the valid one that was not used or heard of for the longest time (§3.5.1; policy LRU).
* It survives reboots, resets and power cuts (errata §3.4): every change is in the turn's `Persist`.
* Switched off, it says nothing and takes nothing in, and it is emptied: what is not kept up to date is not kept.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.station.config import StationConfig
from forecourt.station.turn import Turn
from forecourt.station.variable_table import CACHE_ENABLED, CACHE_LIFE_TIME
from forecourt.station.variables import Variables

SECTION: Final = "cache"


class CacheEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One token's place: what was said of it, and when it was last used or heard of."""

    id_token: IdToken
    info: IdTokenInfo
    used_at: datetime


decode_record = msgspec.json.Decoder(CacheEntry).decode


class TokenCache:
    """The cache of one station. `is_listed`: whether a token is on the local list in force."""

    __slots__ = ("_config", "_entries", "_is_listed", "_variables")

    def __init__(self, config: StationConfig, variables: Variables, is_listed: Callable[[IdToken], bool]) -> None:
        self._config = config
        self._variables = variables
        self._is_listed = is_listed
        self._entries: dict[str, CacheEntry] = {}
        """The least recently used first."""

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """Take the journal's entries."""
        entries = sorted((decode_record(raw) for raw in stored.values()), key=lambda entry: entry.used_at)
        self._entries = {entry.id_token.key: entry for entry in entries}

    @property
    def enabled(self) -> bool:
        """Whether it is in use (AuthorizationCacheEnabled)."""
        return self._variables.boolean(CACHE_ENABLED)

    def __len__(self) -> int:
        return len(self._entries)

    def info(self, id_token: IdToken, at: datetime) -> IdTokenInfo | None:
        """What it knows of a token now; None: nothing."""
        entry = self._entries.get(id_token.key) if self.enabled else None
        return None if entry is None else self._now(entry, at)

    def used(self, id_token: IdToken, turn: Turn) -> None:
        """A token was authorized by what stands here."""
        entry = self._entries.get(id_token.key)
        if entry is not None:
            self._keep(msgspec.structs.replace(entry, used_at=turn.at), turn)

    def learn(self, id_token: IdToken, info: IdTokenInfo, turn: Turn) -> None:
        """The CSMS has spoken of a token."""
        if not self.enabled or self._is_listed(id_token):
            return
        if id_token.key not in self._entries:
            self._make_room(turn)
        if self._config.cache_size > 0:
            self._keep(CacheEntry(id_token, info, turn.at), turn)

    def forget(self, id_token: IdToken, turn: Turn) -> None:
        """A token has come onto the local list: it has no place here any more."""
        if self._entries.pop(id_token.key, None) is not None:
            turn.delete(SECTION, id_token.key)

    def forget_listed(self, turn: Turn) -> None:
        """The local list may have come into force: what is on it has no place here (OCPP 1.6 §3.5.3)."""
        for id_token in [entry.id_token for entry in self._entries.values() if self._is_listed(entry.id_token)]:
            self.forget(id_token, turn)

    def clear(self, turn: Turn) -> bool:
        """Forget all (OCPP 1.6 §5.4). False: there is no cache in use (errata §3.23, C11)."""
        if not self.enabled:
            return False
        self._empty(turn)
        return True

    def update(self, turn: Turn) -> None:
        """Switched off, it is emptied."""
        if self._entries and not self.enabled:
            self._empty(turn)

    def _now(self, entry: CacheEntry, at: datetime) -> IdTokenInfo:
        ends = entry.info.expires_at
        life_time_s = self._variables.integer(CACHE_LIFE_TIME)
        outlived = life_time_s > 0 and at - entry.used_at >= timedelta(seconds=life_time_s)
        if entry.info.status is AuthorizationStatus.ACCEPTED and (outlived or (ends is not None and ends <= at)):
            return msgspec.structs.replace(entry.info, status=AuthorizationStatus.EXPIRED)
        return entry.info

    def _make_room(self, turn: Turn) -> None:
        if len(self._entries) < self._config.cache_size:
            return
        invalid = [
            entry.id_token
            for entry in self._entries.values()
            if self._now(entry, turn.at).status is not AuthorizationStatus.ACCEPTED
        ]
        for id_token in invalid:
            self.forget(id_token, turn)
        while self._entries and len(self._entries) >= self._config.cache_size:
            self.forget(next(iter(self._entries.values())).id_token, turn)

    def _keep(self, entry: CacheEntry, turn: Turn) -> None:
        key = entry.id_token.key
        self._entries.pop(key, None)  # the most recently used is the last
        self._entries[key] = entry
        turn.put(SECTION, key, entry)

    def _empty(self, turn: Turn) -> None:
        self._entries.clear()
        turn.clear(SECTION)
