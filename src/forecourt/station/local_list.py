"""The local authorization list: tokens that the CSMS has put on the station, under a version.

Guarantees
* An update is applied as a whole or not at all, in one `Persist` with its version: a power cut finds the list before
  it or after it (OCPP 1.6 §5.15, OCPP 2.0.1 D01).
* Nothing but an update changes it (§3.5.2); in a differential one, a token without a word about it is deleted (§7.1).
* Version 0 means that the list is empty; None, that there is none: the profile is missing or the list is switched off
  (§5.10; OCTT TC_042_1, TC_042_2).
* A differential update must have a later version than the list, else VersionMismatch (§7.47; OCTT TC_043_2). One that
  is too long, names a token twice, would make the list too long, has a version below 1, or replaces the list by tokens
  that it says nothing of, is Failed (§6.41, errata §3.52; OCTT TC_043_3).
* An entry whose validity has ended reads as Expired (§3.5.4).
* Where the CSMS contradicts its list that is said once (§3.5.2), however many answers do: the one about the token, the
  one about its transaction's start, the next visit's. Again after the entry has been sent anew, or after the CSMS has
  been of the list's opinion in between.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from forecourt.domain.requests import ListUpdate, LocalListEntry, RequestStatus, SendLocalList
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.station.turn import Turn
from forecourt.station.variable_table import (
    FEATURE_PROFILES,
    LIST_ENABLED,
    LIST_ENTRIES,
    LIST_ITEMS_PER_MESSAGE,
    LIST_MOST_ENTRIES,
)
from forecourt.station.variables import Variables

SECTION: Final = "local_list"
HEAD: Final = "local_list_head"
PROFILE: Final = "LocalAuthListManagement"

VERSION_KEY: Final = "version"

decode_record = msgspec.json.Decoder(LocalListEntry).decode
decode_version = msgspec.json.Decoder(int).decode


class LocalList:
    """The list of one station."""

    __slots__ = ("_contradicted", "_entries", "_variables", "_version")

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self._entries: dict[str, LocalListEntry] = {}
        self._version = 0
        self._contradicted: set[str] = set()
        """Entries of which it has been said."""

    def restore(self, state: Mapping[str, Mapping[str, bytes]]) -> None:
        """Take the journal's list."""
        self._entries = {key: decode_record(raw) for key, raw in state.get(SECTION, {}).items()}
        raw = state.get(HEAD, {}).get(VERSION_KEY)
        self._version = 0 if raw is None else decode_version(raw)

    @property
    def supported(self) -> bool:
        """Whether there is a list in force."""
        return PROFILE in self._variables.members(FEATURE_PROFILES) and self._variables.boolean(LIST_ENABLED)

    @property
    def version(self) -> int | None:
        """The list's version; 0: it is empty; None: there is none in force."""
        if not self.supported:
            return None
        return self._version if self._entries else 0

    def __len__(self) -> int:
        return len(self._entries)

    def info(self, id_token: IdToken, at: datetime) -> IdTokenInfo | None:
        """What it says of a token now; None: nothing."""
        entry = self._entries.get(id_token.key) if self.supported else None
        if entry is None or entry.id_token_info is None:
            return None
        info = entry.id_token_info
        if info.status is AuthorizationStatus.ACCEPTED and info.expires_at is not None and info.expires_at <= at:
            return msgspec.structs.replace(info, status=AuthorizationStatus.EXPIRED)
        return info

    def is_listed(self, id_token: IdToken) -> bool:
        """Whether a list in force names it."""
        return self.supported and id_token.key in self._entries

    def newly_contradicted(self, id_token: IdToken, info: IdTokenInfo, at: datetime) -> bool:
        """Whether the CSMS now says otherwise than its list, one of them would let the token charge (§3.5.2), and that
        has not been said yet.

        A token that is refused only because it charges elsewhere is a valid one, so that is no conflict.
        """
        listed = self.info(id_token, at)
        if listed is None or info.status is AuthorizationStatus.CONCURRENT_TX:
            return False
        if (listed.status is AuthorizationStatus.ACCEPTED) is (info.status is AuthorizationStatus.ACCEPTED):
            self._contradicted.discard(id_token.key)
            return False
        known = id_token.key in self._contradicted
        self._contradicted.add(id_token.key)
        return not known

    def apply(self, update: SendLocalList, turn: Turn) -> RequestStatus:
        """Carry out an update, or refuse it as a whole."""
        if not self.supported:
            return RequestStatus.NOT_SUPPORTED
        named = {entry.id_token.key: entry for entry in update.entries}
        too_many = len(update.entries) > self._variables.integer(LIST_ITEMS_PER_MESSAGE)
        if too_many or update.fault is not None:
            return RequestStatus.FAILED
        differential = update.update is ListUpdate.DIFFERENTIAL
        if differential and update.version <= (self.version or 0):
            return RequestStatus.VERSION_MISMATCH
        after = {**self._entries, **named} if differential else named
        after = {key: entry for key, entry in after.items() if entry.id_token_info is not None}
        if len(after) > self._variables.integer(LIST_MOST_ENTRIES):
            return RequestStatus.FAILED
        if not differential:
            turn.clear(SECTION)
        for key, entry in named.items():
            if entry.id_token_info is None:
                turn.delete(SECTION, key)
            else:
                turn.put(SECTION, key, entry)
        turn.put(HEAD, VERSION_KEY, update.version)
        self._entries, self._version = after, update.version
        self._contradicted.difference_update(named)
        self._contradicted &= after.keys()
        self._variables.assign(LIST_ENTRIES, str(len(after)), turn)
        return RequestStatus.ACCEPTED
