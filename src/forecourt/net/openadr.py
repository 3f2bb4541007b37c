"""OpenADR 3: the controller as a VEN that polls a VTN for events (OpenADR 3.0.1 and 3.1.0, REST).

Guarantees
* Authorization is OAuth 2.0 with client credentials at the VTN's `/auth/token` (or another address); a token is used
  until shortly before it ends, and asked for anew when it is refused.
* `IMPORT_CAPACITY_LIMIT` limits everything through a node (KW or W, as the event says; KW where it doesn't);
  `SIMPLE` levels 1 to 3 leave the parts of a power that the configuration says; `PRICE` and `GHG` are curves for the
  planner. Of several events about one thing at one time the highest priority wins (the smallest number; events
  without one come last), then the newest.
* Intervals without a period of their own follow each other from that of the event; a duration of `P9999Y`, or none, is
  until further notice.
* While the VTN can't be reached, what it said last goes on as it was announced; nothing is made up.
"""

import logging
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import httpx
import msgspec

from forecourt.allocation.demand import NodeLimit
from forecourt.controller.limits import TimedLimit
from forecourt.controller.outlook import Curve

log = logging.getLogger(__name__)

_PAGE: Final = 50
_MOST_PAGES: Final = 40
_TOKEN_MARGIN_S: Final = 30.0
_LAST_PRIORITY: Final = 2**31
_WATTS: Final = {"KW": 1000.0, "W": 1.0, "MW": 1e6, "KVA": 1000.0}


class OpenAdr(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read from `[openadr]`."""

    url: Annotated[str, msgspec.Meta(pattern="^https?://")]
    """Of the VTN, up to before `/events`: https://vtn.example/openadr3/3.0.1."""
    client_id: str | None = None
    """None: the VTN asks for no credentials."""
    client_secret: str | None = None
    token_url: str | None = None
    """Left out: the VTN's own, `/auth/token`."""
    scope: str | None = None
    program_id: str | None = None
    """Only events of this program; left out: of all that the VTN shows."""
    node: str | None = None
    """What the limits are about. Left out: the grid connection."""
    interval_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    simple_power_w: float | None = None
    """The power that SIMPLE levels are parts of. Left out: what the node's fuses carry."""
    simple_shares: tuple[float, float, float] = (0.75, 0.5, 0.25)
    """What the levels 1, 2 and 3 leave of it."""

    def __post_init__(self) -> None:
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("client_secret: expected together with client_id")

    def __repr__(self) -> str:
        return f"OpenAdr(url={self.url!r}, client_id={self.client_id!r})"  # never the secret


class _ValuesMap(msgspec.Struct, frozen=True):
    type: str
    values: list[Any] = []


class _Period(msgspec.Struct, frozen=True, rename="camel"):
    start: str | None = None
    duration: str | None = None


class _Interval(msgspec.Struct, frozen=True, rename="camel"):
    payloads: list[_ValuesMap] = []
    interval_period: _Period | None = None


class _Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    payload_type: str | None = None
    units: str | None = None


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """An event of a VTN, as far as it is of use here."""

    id: str = ""
    priority: int | None = None
    created_date_time: str | None = None
    interval_period: _Period | None = None
    intervals: list[_Interval] = []
    payload_descriptors: list[_Descriptor] | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What all events together say."""

    limits: tuple[TimedLimit, ...] = ()
    prices: Curve | None = None
    carbon: Curve | None = None


class _Span(msgspec.Struct, frozen=True):
    begins: datetime | None
    ends: datetime | None
    value: float


def understood(events: Sequence[Event], *, simple_w: float, shares: Sequence[float]) -> Said:
    """What `events` come to."""
    by_rank = sorted(events, key=lambda event: event.created_date_time or "", reverse=True)
    by_rank.sort(key=lambda event: _LAST_PRIORITY if event.priority is None else event.priority)
    capacity = _spans(by_rank, "IMPORT_CAPACITY_LIMIT", _watts)
    simple = _spans(by_rank, "SIMPLE", lambda value, _: float(min(3, max(0, int(value)))))
    limits = [
        TimedLimit(begins=span.begins, ends=span.ends, limit=NodeLimit(power_w=max(0.0, span.value)))
        for span in capacity
    ]
    limits += [
        TimedLimit(begins=span.begins, ends=span.ends, limit=NodeLimit(power_w=simple_w * shares[int(span.value) - 1]))
        for span in simple
        if span.value >= 1
    ]
    prices = _curve(_spans(by_rank, "PRICE", lambda value, _: value))
    carbon = _curve(_spans(by_rank, "GHG", lambda value, unit: value / 1000.0 if unit == "G/KWH" else value))
    return Said(limits=tuple(limits), prices=prices, carbon=carbon)


def _watts(value: float, unit: str) -> float:
    return value * _WATTS.get(unit, 1000.0)


def _spans(events: Sequence[Event], kind: str, read: Callable[[float, str], float]) -> list[_Span]:
    """All intervals about one thing, best events first; what a better event covers is cut out of the others."""
    found: list[_Span] = []
    for event in events:
        units = [one.units for one in event.payload_descriptors or [] if one.payload_type == kind and one.units]
        unit = units[0].upper() if units else ""
        own: list[_Span] = []
        ended = None if event.interval_period is None else _instant(event.interval_period.start)
        for interval in event.intervals:
            period = interval.interval_period or event.interval_period
            begins = ended
            if interval.interval_period is not None and interval.interval_period.start:
                begins = _instant(interval.interval_period.start)
            length = None if period is None else _duration(period.duration)
            ended = None if begins is None or length is None else _after(begins, length)
            for payload in interval.payloads:
                value = payload.values[0] if payload.values else None
                if payload.type == kind and isinstance(value, int | float) and not isinstance(value, bool):
                    own.append(_Span(begins, ended, read(float(value), unit)))
            if ended is None:
                break
        for span in own:
            pieces = [span]
            for better in found:
                pieces = [rest for piece in pieces for rest in _without(piece, better)]
            found += pieces
    return found


def _without(piece: _Span, better: _Span) -> list[_Span]:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    begins, ends = piece.begins or first, piece.ends or last
    from_, until = better.begins or first, better.ends or last
    if until <= begins or ends <= from_:
        return [piece]
    rest = []
    if begins < from_:
        rest.append(_Span(piece.begins, better.begins, piece.value))
    if until < ends:
        rest.append(_Span(better.ends, piece.ends, piece.value))
    return rest


def _curve(spans: list[_Span]) -> Curve | None:
    steps = sorted((span for span in spans if span.begins is not None), key=lambda span: str(span.begins))
    steps.sort(key=lambda span: span.begins or datetime.min.replace(tzinfo=UTC))
    instants = [span.begins for span in steps if span.begins is not None]
    if not instants:
        return None
    return Curve(instants, [span.value for span in steps])


def _after(begins: datetime, length: timedelta) -> datetime | None:
    try:
        return begins + length
    except OverflowError:
        return None


def _instant(text: str | None) -> datetime | None:
    """None: from now on, or always (`0001-01-01`), or unreadable."""
    if not text or text.startswith("0001-01-01"):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


_FOR_EVER_S: Final = 1000 * 365 * 86400.0

_DURATION: Final = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$"
)


def _duration(text: str | None) -> timedelta | None:
    """None: until further notice."""
    match = _DURATION.match(text or "")
    if match is None:
        return None
    years, months, weeks, days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    whole_days = years * 365 + months * 30 + weeks * 7 + days
    whole_s = ((whole_days * 24 + hours) * 60 + minutes) * 60 + seconds
    return timedelta(seconds=whole_s) if 0.0 < whole_s < _FOR_EVER_S else None


class Ven:
    """The client. `poll` asks once."""

    def __init__(
        self, settings: OpenAdr, client: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._token: str | None = None
        self._token_ends_s = 0.0
        self._failing = False

    async def poll(self) -> list[Event] | None:
        """All events that the VTN shows; None if it can't be asked. Never raises for what a VTN says."""
        try:
            events = await self._events()
        except (httpx.HTTPError, msgspec.MsgspecError, ValueError) as error:
            if not self._failing:
                log.warning("OpenADR %s: %s", self._settings.url, str(error) or type(error).__name__)
            self._failing = True
            return None
        if self._failing:
            log.info("OpenADR %s: answers again", self._settings.url)
        self._failing = False
        return events

    async def _events(self) -> list[Event]:
        found: list[Event] = []
        for page in range(_MOST_PAGES):
            query: dict[str, str | int] = {"skip": page * _PAGE, "limit": _PAGE}
            if self._settings.program_id is not None:
                query["programID"] = self._settings.program_id
            answer = await self._ask(query)
            batch = msgspec.json.decode(answer.content, type=list[Event])
            found += batch
            if len(batch) < _PAGE:
                break
        return found

    async def _ask(self, query: dict[str, str | int]) -> httpx.Response:
        url = f"{self._settings.url.rstrip('/')}/events"
        answer = await self._client.get(url, params=query, headers=await self._authorization())
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._token is not None:
            self._token = None
            answer = await self._client.get(url, params=query, headers=await self._authorization())
        answer.raise_for_status()
        return answer

    async def _authorization(self) -> dict[str, str]:
        settings = self._settings
        if settings.client_id is None or settings.client_secret is None:
            return {}
        if self._token is None or self._clock() >= self._token_ends_s:
            form = {"grant_type": "client_credentials", "client_id": settings.client_id,
                    "client_secret": settings.client_secret}  # fmt: skip
            if settings.scope is not None:
                form["scope"] = settings.scope
            url = settings.token_url or f"{settings.url.rstrip('/')}/auth/token"
            answer = await self._client.post(url, data=form)
            answer.raise_for_status()
            token = msgspec.json.decode(answer.content, type=_Token)
            self._token = token.access_token
            self._token_ends_s = self._clock() + max(0.0, (token.expires_in or 3600.0) - _TOKEN_MARGIN_S)
        return {"Authorization": f"Bearer {self._token}"}


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float | None = None
