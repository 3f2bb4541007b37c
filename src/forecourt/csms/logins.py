"""Logins of stations: a password is looked at slowly, once; wrong ones are counted.

Guarantees
* A password that was right is known again without the slow hash, so that a thousand stations that come back at once
  don't wait for each other. What is kept is a keyed digest, with a key that dies with the process; it stands for this
  password of this station only, so that a changed password is unknown at once (security white paper A01.FR.03).
* Whoever was known before is let in however many wrong passwords others try in its name: nobody can lock a station out
  that has been here since the start.
* Otherwise an identity and an address each have so many failures in so long (`CsmsSettings`); more are refused without
  being looked at. Attempts that are under way count as failures until they succeed: many at once don't get more.
* Memory is bounded, whatever is tried. When it is full, what was unused longest is forgotten.
* At most one slow hash per processor at a time.
"""

import asyncio
import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from typing import Final

from forecourt.csms.settings import CsmsSettings
from forecourt.csms.stations import octets_of, password_matches

_MOST_KNOWN: Final = 100_000
"""Stations whose password is known again: about 150 bytes each."""
_MOST_COUNTED: Final = 20_000
"""Identities, and addresses, whose failures are counted."""


class FailureCount:
    """How many failures each key has left: `most` at once, and as many again in `window_s`."""

    def __init__(self, most: int, window_s: float, *, most_keys: int = _MOST_COUNTED) -> None:
        self._most = most
        self._each_s = window_s / most
        self._most_keys = most_keys
        self._free_at_s: OrderedDict[str, float] = OrderedDict()
        """When the key has all its failures back; absent: it has."""

    def __len__(self) -> int:
        return len(self._free_at_s)

    def spent(self, key: str, now_s: float) -> bool:
        """Whether it has none left."""
        return self._free_at_s.get(key, now_s) - now_s > (self._most - 1) * self._each_s

    def add(self, key: str, now_s: float) -> None:
        """One more failure."""
        free_at_s = max(self._free_at_s.pop(key, now_s), now_s) + self._each_s
        self._free_at_s[key] = min(free_at_s, now_s + self._most * self._each_s)
        if len(self._free_at_s) > self._most_keys:
            self._free_at_s.popitem(last=False)

    def take_back(self, key: str) -> None:
        """It was none."""
        if key in self._free_at_s:
            self._free_at_s[key] -= self._each_s


class Logins:
    """What is known of logins since the start of this process."""

    def __init__(self, settings: CsmsSettings, *, most_known: int = _MOST_KNOWN) -> None:
        self._of_station = FailureCount(settings.failed_logins_per_station, settings.failed_login_window_s)
        self._of_address = FailureCount(settings.failed_logins_per_address, settings.failed_login_window_s)
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[int, bytes] = OrderedDict()
        self._most_known = most_known
        self._hashing = asyncio.Semaphore(os.cpu_count() or 1)

    def refused(self, station_id: str, address: str, now_s: float) -> bool:
        """Whether there were too many failures for another attempt."""
        return self._of_station.spent(station_id, now_s) or self._of_address.spent(address, now_s)

    def failed(self, station_id: str | None, address: str, now_s: float) -> None:
        """Somebody at `address` isn't who it says; None: it says it is somebody nobody knows."""
        self._of_address.add(address, now_s)
        if station_id is not None:
            self._of_station.add(station_id, now_s)

    def knows(self, number: int, password_hash: str, password: bytes) -> bool:
        """Whether this password was found right before. Takes microseconds."""
        known = self._known.get(number)
        if known is None or not hmac.compare_digest(known, self._digest(number, password_hash, password)):
            return False
        self._known.move_to_end(number)
        return True

    async def check(
        self, number: int, password_hash: str, password: bytes, *, station_id: str, address: str, now_s: float
    ) -> bool:
        """Whether the password is right, by the slow hash; a failure is counted. Ask `knows` and `refused` before."""
        self.failed(station_id, address, now_s)
        async with self._hashing:
            right = await asyncio.to_thread(password_matches, password, password_hash)
        if right:
            self._of_station.take_back(station_id)
            self._of_address.take_back(address)
            self._known[number] = self._digest(number, password_hash, password)
            self._known.move_to_end(number)
            if len(self._known) > self._most_known:
                self._known.popitem(last=False)
        return right

    def _digest(self, number: int, password_hash: str, password: bytes) -> bytes:
        told = f"{number}:{password_hash}:".encode() + octets_of(password)
        return hmac.digest(self._key, told, hashlib.sha256)
