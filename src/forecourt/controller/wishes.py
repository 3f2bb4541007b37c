"""When a car leaves and how much energy it wants: from whoever knows, best source first.

Guarantees
* A person's word (the API, the driver's page) counts before what the station says, that before what is set for the
  token, and that before what the token's past sessions suggest. Departure and energy may come from different sources.
* A wish ends with the transaction that it was made for.
* What was delivered since the transaction began is taken off what is wanted; where a battery's size and its state of
  charge are known, the state of charge says how much is missing.
* History speaks only after `ENOUGH_SESSIONS` sessions, with their medians; only the last `KEPT_SESSIONS` are kept.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from enum import IntEnum
from statistics import median
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

from forecourt.controller.surplus import ChargeMode
from forecourt.domain.clock import Now
from forecourt.domain.events import (
    ChargingNeedsReported,
    MeterSampled,
    StationEvent,
    TransactionAuthorized,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.meter import Measurand, MeterValue, energy_wh, reading
from forecourt.domain.site import EvseKey

ENOUGH_SESSIONS: Final = 3
KEPT_SESSIONS: Final = 20


class Source(IntEnum):
    """Who says so; the higher counts."""

    HISTORY = 1
    TOKEN = 2
    STATION = 3
    PERSON = 4


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a visit. None: nothing is."""

    departs_at: datetime | None = None
    energy_wh: float | None = None
    """For the whole transaction."""
    battery_wh: float | None = None
    target_soc_percent: float | None = None


class TokenWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is set for a token. Read from `[tokens.…]`."""

    departs: time | None = None
    """On the clock of `time_zone`, the next time it is that late."""
    time_zone: str = "UTC"
    energy_kwh: Annotated[float, msgspec.Meta(gt=0)] | None = None
    battery_kwh: Annotated[float, msgspec.Meta(gt=0)] | None = None
    target_soc_percent: Annotated[float, msgspec.Meta(gt=0, le=100)] = 100.0
    mode: ChargeMode | None = None


class PastSession(msgspec.Struct, frozen=True, kw_only=True):
    """One that is over."""

    duration_s: float
    energy_wh: float


class KeptVisit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of a visit survives the controller's end."""

    token: str | None = None
    began_at: datetime
    wishes: dict[int, Wish] = {}
    first_wh: float | None = None


class _Visit:
    def __init__(self, token: str | None, began_s: float, began_at: datetime) -> None:
        self.token = token
        self.began_s = began_s
        self.began_at = began_at
        self.wishes: dict[Source, Wish] = {}
        self.first_wh: float | None = None
        self.last_wh: float | None = None
        self.soc_percent: float | None = None
        self.soc_wh: float | None = None
        """The register when the state of charge was told."""

    @property
    def delivered_wh(self) -> float:
        return 0.0 if self.first_wh is None or self.last_wh is None else max(0.0, self.last_wh - self.first_wh)


class Wishes:
    """The wishes of all visits at a site."""

    def __init__(self, tokens: dict[str, TokenWish] | None = None) -> None:
        self._tokens = {token.casefold(): wish for token, wish in (tokens or {}).items()}
        self._visits: dict[EvseKey, _Visit] = {}
        self._past: dict[str, list[PastSession]] = {}
        self.version = 0
        """Counts what has to be kept anew."""

    def set(self, key: EvseKey, wish: Wish, source: Source = Source.PERSON) -> bool:
        """Somebody says what is wanted. False: there is nobody charging."""
        visit = self._visits.get(key)
        self.version += 1
        if visit is not None:
            visit.wishes[source] = wish
        return visit is not None

    def unset(self, key: EvseKey, source: Source = Source.PERSON) -> bool:
        """Take it back. False: there is nobody charging."""
        visit = self._visits.get(key)
        self.version += 1
        if visit is not None:
            visit.wishes.pop(source, None)
        return visit is not None

    def said(self, key: EvseKey, source: Source = Source.PERSON) -> Wish | None:
        """What `source` has said of the visit that is on."""
        visit = self._visits.get(key)
        return None if visit is None else visit.wishes.get(source)

    def hear(self, keys: dict[int, EvseKey], key_of: dict[str, EvseKey], event: StationEvent, now: Now) -> None:
        """What a station tells; `keys` are its EVSEs by number, `key_of` by the transaction that is on."""
        match event:
            case TransactionStarted(evse_id=evse_id) if evse_id in keys:
                self._begin(keys[evse_id], event, now)
            case TransactionAuthorized(transaction_id=transaction_id, id_token=token) if transaction_id in key_of:
                visit = self._visits.get(key_of[transaction_id])
                if visit is not None and visit.token is None:
                    visit.token = token.key
                    self.version += 1
            case ChargingNeedsReported(evse_id=evse_id) if evse_id in keys:
                self._needs(keys[evse_id], event)
            case MeterSampled(evse_id=evse_id, transaction_id=transaction_id, meter_values=values):
                key = keys.get(evse_id or 0) or key_of.get(transaction_id or "")
                if key is not None:
                    self._measured(key, values)
            case TransactionEnded(evse_id=evse_id, transaction_id=transaction_id, meter_values=values):
                key = key_of.get(transaction_id) or keys.get(evse_id or 0)
                if key is not None:
                    self._measured(key, values)
                    self.over(key, now)
            case _:
                pass

    def over(self, key: EvseKey, now: Now) -> None:
        """The visit is over; what it was is remembered for its token."""
        visit = self._visits.pop(key, None)
        self.version += 1
        if visit is not None and visit.token is not None and visit.delivered_wh > 0.0:
            session = PastSession(duration_s=now.elapsed_s - visit.began_s, energy_wh=visit.delivered_wh)
            self._past[visit.token] = [*self._past.get(visit.token, []), session][-KEPT_SESSIONS:]

    def departs_s(self, key: EvseKey, now: Now) -> float | None:
        """When it leaves, on the clock of `Now.elapsed_s`, in whole seconds: the two clocks drift by less, and what
        hasn't changed needn't be decided anew."""
        for wish in self._ranked(key):
            if wish.departs_at is not None:
                return float(round(now.elapsed_s + (wish.departs_at - now.at).total_seconds()))
        return None

    def remaining_wh(self, key: EvseKey) -> float | None:
        """How much energy it still wants."""
        visit = self._visits.get(key)
        if visit is None:
            return None
        for wish in self._ranked(key):
            if wish.energy_wh is not None:
                return max(0.0, wish.energy_wh - visit.delivered_wh)
            missing = self._missing_wh(visit, wish)
            if missing is not None:
                return missing
        return None

    def token(self, key: EvseKey) -> str | None:
        """Who charges there."""
        visit = self._visits.get(key)
        return None if visit is None else visit.token

    def mode(self, key: EvseKey) -> ChargeMode | None:
        """The mode that is set for who charges there."""
        wanted = self._tokens.get(self.token(key) or "")
        return None if wanted is None else wanted.mode

    def visits(self) -> dict[EvseKey, KeptVisit]:
        """Those that are on, to be kept, and given back to `resume`."""
        return {
            key: KeptVisit(
                token=visit.token,
                began_at=visit.began_at,
                wishes={int(source): wish for source, wish in visit.wishes.items()},
                first_wh=visit.first_wh,
            )
            for key, visit in self._visits.items()
        }

    def resume(self, visits: Mapping[EvseKey, KeptVisit], now: Now) -> None:
        """What `visits` gave, before the controller's end."""
        for key, kept in visits.items():
            began_s = now.elapsed_s - (now.at - kept.began_at).total_seconds()
            visit = self._visits[key] = _Visit(kept.token, began_s, kept.began_at)
            known = {int(source) for source in Source}
            visit.wishes = {Source(source): wish for source, wish in kept.wishes.items() if source in known}
            visit.first_wh = visit.last_wh = kept.first_wh

    def history(self) -> dict[str, list[PastSession]]:
        """To be kept, and given back to `remember`."""
        return {token: list(past) for token, past in self._past.items()}

    def remember(self, history: dict[str, list[PastSession]]) -> None:
        """What `history` gave."""
        self._past = {token: past[-KEPT_SESSIONS:] for token, past in history.items()}
        self.version += 1

    def _begin(self, key: EvseKey, event: TransactionStarted, now: Now) -> None:
        self.version += 1
        token = None if event.id_token is None else event.id_token.key
        visit = self._visits.get(key)
        if visit is None or visit.began_at != event.at:  # else the same start again
            visit = self._visits[key] = _Visit(token, now.elapsed_s, event.at)
        visit.token = visit.token or token
        self._measured(key, event.meter_values)

    def _needs(self, key: EvseKey, event: ChargingNeedsReported) -> None:
        visit = self._visits.get(key)
        if visit is None:
            return
        self.version += 1
        # The station says what is wanted from now on; a wish counts from the beginning.
        wanted_wh = None if event.energy_wh is None else event.energy_wh + visit.delivered_wh
        visit.wishes[Source.STATION] = Wish(
            departs_at=event.departs_at,
            energy_wh=wanted_wh,
            battery_wh=event.battery_wh,
            target_soc_percent=event.full_soc_percent,
        )
        if event.soc_percent is not None:
            visit.soc_percent, visit.soc_wh = event.soc_percent, visit.last_wh

    def _measured(self, key: EvseKey, values: Iterable[MeterValue]) -> None:
        visit = self._visits.get(key)
        values = tuple(values)
        if visit is None:
            return
        register_wh = energy_wh(values)
        if register_wh is not None:
            self.version += visit.first_wh is None
            visit.first_wh = register_wh if visit.first_wh is None else visit.first_wh
            visit.last_wh = register_wh
        soc_percent = reading(values, Measurand.SOC)
        if soc_percent is not None and 0.0 <= soc_percent <= 100.0:
            visit.soc_percent, visit.soc_wh = soc_percent, visit.last_wh

    def _missing_wh(self, visit: _Visit, wish: Wish) -> float | None:
        battery_wh = wish.battery_wh
        if battery_wh is None or visit.soc_percent is None:
            return None
        since_wh = (visit.last_wh or 0.0) - (visit.soc_wh if visit.soc_wh is not None else visit.last_wh or 0.0)
        target_percent = 100.0 if wish.target_soc_percent is None else wish.target_soc_percent
        return max(0.0, (target_percent - visit.soc_percent) / 100.0 * battery_wh - since_wh)

    def _ranked(self, key: EvseKey) -> list[Wish]:
        visit = self._visits.get(key)
        if visit is None:
            return []
        wishes = dict(visit.wishes)
        if visit.token is not None:
            if visit.token in self._tokens:
                wishes.setdefault(Source.TOKEN, _of_token(self._tokens[visit.token], visit.began_at))
            past = self._past.get(visit.token, [])
            if len(past) >= ENOUGH_SESSIONS:
                wishes.setdefault(
                    Source.HISTORY,
                    Wish(
                        departs_at=visit.began_at + timedelta(seconds=median(one.duration_s for one in past)),
                        energy_wh=median(one.energy_wh for one in past),
                    ),
                )
        return [wishes[source] for source in sorted(wishes, reverse=True)]


def _of_token(wanted: TokenWish, began_at: datetime) -> Wish:
    departs_at = None
    if wanted.departs is not None:
        zone = ZoneInfo(wanted.time_zone)
        here = began_at.astimezone(zone)
        departs_at = datetime.combine(here.date(), wanted.departs, zone)
        if departs_at <= here:
            departs_at = datetime.combine(here.date() + timedelta(days=1), wanted.departs, zone)
    return Wish(
        departs_at=departs_at,
        energy_wh=None if wanted.energy_kwh is None else wanted.energy_kwh * 1000.0,
        battery_wh=None if wanted.battery_kwh is None else wanted.battery_kwh * 1000.0,
        target_soc_percent=wanted.target_soc_percent,
    )
