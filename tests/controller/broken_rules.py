"""Controllers with one rule of `controller.md` §3 broken each: the fault injection has to find every one of them.

They are made by changing one method of a part in a running controller; nothing of the product knows of it.
"""

import math
from collections.abc import Callable
from types import MethodType
from typing import Any

import msgspec

from forecourt.controller.controller import Controller
from forecourt.controller.effects import AskStation, Effect, Urgency
from forecourt.controller.issuer import Issuer
from forecourt.controller.ledger import Account, Limit
from forecourt.controller.line import Line
from forecourt.domain.clock import Now
from forecourt.domain.journal import JournalState
from forecourt.domain.requests import SetChargingProfile


def raises_first(*args: Any, **kwargs: Any) -> Controller:
    """A share goes up as soon as it is decided, whether or not the others have come down."""

    def raises(issuer: Issuer, lines: list[Line], _room: object, now: Now) -> list[Effect]:
        found: list[Effect] = []
        for line in lines:
            account = line.account
            if account.base is None or not issuer._speakable(line, now) or (line.binds and line.bound_to is None):
                continue
            if line.target_a > account.holds_a(now) + 0.5:
                found.append(issuer._limit(line, line.target_a, Urgency.RAISE, now, bind=line.binds))
        return found

    return _with_issuer(Controller(*args, **kwargs), "_raises", raises)


def without_leases(*args: Any, **kwargs: Any) -> Controller:
    """Stations are sent limits that never end, and the books count on their end all the same."""
    limit_of = Issuer._limit

    def limit(issuer: Issuer, *args: Any, **kwargs: Any) -> AskStation:
        ask = limit_of(issuer, *args, **kwargs)
        assert isinstance(ask.request, SetChargingProfile)
        profile = ask.request.profile
        endless = msgspec.structs.replace(profile.schedule, periods=profile.schedule.periods[:1])
        return msgspec.structs.replace(
            ask,
            request=msgspec.structs.replace(
                ask.request, profile=msgspec.structs.replace(profile, schedules=(endless,))
            ),
        )

    return _with_issuer(Controller(*args, **kwargs), "_limit", limit)


def silence_is_consent(*args: Any, **kwargs: Any) -> Controller:
    """A limit that was never answered counts as the new one, and the old one as gone."""
    take = Issuer.take_answer

    def take_answer(issuer: Issuer, token: int, accepted: bool | None, now: Now) -> tuple[bool, list[Effect]]:
        if accepted is not None:
            return take(issuer, token, accepted, now)
        line, _ = issuer._asked[token]
        answered = take(issuer, token, True, now)
        line.account.unproven = None
        return answered

    return _with_issuer(Controller(*args, **kwargs), "take_answer", take_answer)


def refusal_is_consent(*args: Any, **kwargs: Any) -> Controller:
    """A limit that was refused counts as the new one."""
    take = Issuer.take_answer

    def take_answer(issuer: Issuer, token: int, accepted: bool | None, now: Now) -> tuple[bool, list[Effect]]:
        return take(issuer, token, True if accepted is False else accepted, now)

    return _with_issuer(Controller(*args, **kwargs), "take_answer", take_answer)


def without_evidence(*args: Any, **kwargs: Any) -> Controller:
    """Capacity is free as soon as the station has accepted less."""
    controller = Controller(*args, **kwargs)
    confirmed = Account.limit_confirmed

    def limit_confirmed(account: Account, token: object, now: Now) -> None:
        confirmed(account, token, now)
        account.unproven = None

    for line in controller.lines.values():
        line.account.limit_confirmed = MethodType(limit_confirmed, line.account)  # type: ignore[method-assign]
    return controller


def lost_is_gone(*args: Any, **kwargs: Any) -> Controller:
    """A station whose link is lost counts with its fallback at once."""
    controller = Controller(*args, **kwargs)
    lost = Controller.station_lost

    def station_lost(controller: Controller, station_id: str, now: Now) -> list[Effect]:
        for line in controller.lines.values():
            if line.point.station_id == station_id and line.account.base is not None:
                line.account.base = Limit(line.point.fallback_a, math.inf, bound=False)
                line.account.bound = line.account.unproven = None
                line.account.uncertain, line.account.sent = [], {}
        return lost(controller, station_id, now)

    controller.station_lost = MethodType(station_lost, controller)  # type: ignore[method-assign]
    return controller


def forgotten(memory: JournalState) -> JournalState:
    """What the journal says of the EVSEs, without what they may hold besides their base limit."""
    lines = {}
    for key, raw in memory.get("line", {}).items():
        told = msgspec.json.decode(raw)
        told.pop("may_hold", None)
        told.pop("unproven", None)
        lines[key] = msgspec.json.encode(told)
    return {**memory, "line": lines}


def _with_issuer(controller: Controller, name: str, method: Callable[..., Any]) -> Controller:
    setattr(controller._issuer, name, MethodType(method, controller._issuer))
    return controller
