"""What the controller has to say to calls that pass, beyond forward or not: boots, variables, remote starts.

Guarantees
* A boot is accepted only when both the CSMS and the controller accept it; the interval is the smaller of the two, at
  most `policy.HIGHEST_HEARTBEAT_INTERVAL_S` (`controller.md` §1).
* A variable that the key rules refuse, or that would send the station elsewhere than to the controller, is Rejected
  without reaching the station; a number above its bound is lowered.
* A password for the upstream link ends here, where the controller has one of its own there.
* A remote start passes without its charging profile, which becomes a constraint.
"""

from collections.abc import Iterable

import msgspec

from forecourt.controller.policy import HIGHEST_HEARTBEAT_INTERVAL_S, KeyRule, names_the_csms
from forecourt.domain.events import BootAnswer
from forecourt.domain.requests import RequestStartTransaction, SetVariables, SetVariablesAnswer
from forecourt.domain.station import RegistrationStatus
from forecourt.domain.variable import SetVariableStatus, VariableRef, VariableSetResult


def agreed_boot(answer: BootAnswer, *, known: bool) -> BootAnswer:
    """The CSMS's answer as far as the controller agrees to it. `known`: the station is part of the site."""
    registration = answer.registration
    if registration is RegistrationStatus.ACCEPTED and not known:
        registration = RegistrationStatus.PENDING
    interval_s = answer.interval_s
    if registration is RegistrationStatus.ACCEPTED:
        interval_s = min(interval_s or HIGHEST_HEARTBEAT_INTERVAL_S, HIGHEST_HEARTBEAT_INTERVAL_S)
    if registration is answer.registration and interval_s == answer.interval_s:
        return answer
    return msgspec.structs.replace(answer, registration=registration, interval_s=interval_s)


def filtered(request: SetVariables, rules: Iterable[KeyRule]) -> SetVariables | SetVariablesAnswer:
    """The request as it may pass: the same object when nothing is to be changed; an answer when all is refused."""
    table = {(rule.component, rule.variable, rule.variable_instance): rule for rule in rules}
    passed = []
    refused = []
    for setting in request.settings:
        rule = table.get(_place(setting.ref))
        if (rule is not None and rule.refused) or (rule is None and names_the_csms(setting.ref.variable)):
            refused.append(VariableSetResult(setting.ref, SetVariableStatus.REJECTED, "set by the local controller"))
        elif rule is not None and rule.highest is not None and _above(setting.value, rule.highest):
            passed.append(msgspec.structs.replace(setting, value=str(rule.highest)))
        else:
            passed.append(setting)
    if refused:
        # One answer to one request: where one setting is refused, none is passed on and all say so.
        others = [
            VariableSetResult(setting.ref, SetVariableStatus.REJECTED, "sent together with a refused one")
            for setting in passed
        ]
        by_ref = {result.ref: result for result in [*refused, *others]}
        return SetVariablesAnswer(results=tuple(by_ref[setting.ref] for setting in request.settings))
    if all(one is other for one, other in zip(passed, request.settings, strict=True)):
        return request
    return SetVariables(settings=tuple(passed))


class NewPassword(msgspec.Struct, frozen=True):
    """A password that the CSMS sets for the link to itself."""

    text: str
    usable: bool

    def __repr__(self) -> str:
        return "NewPassword()"


def new_password(request: SetVariables, rules: Iterable[KeyRule]) -> NewPassword | None:
    """The password for the upstream link in `request`; not usable where it comes with other settings, or is too short
    or too long (security white paper A00.FR.205: 16 to 40 characters)."""
    places = {(rule.component, rule.variable, rule.variable_instance) for rule in rules if rule.ends_here}
    texts = [setting.value for setting in request.settings if _place(setting.ref) in places]
    if not texts:
        return None
    return NewPassword(texts[0], usable=len(request.settings) == 1 and 16 <= len(texts[0]) <= 40)


def without_profile(request: RequestStartTransaction) -> RequestStartTransaction:
    """The same start, without its charging profile."""
    return request if request.charging_profile is None else msgspec.structs.replace(request, charging_profile=None)


def _place(ref: VariableRef) -> tuple[str, str, str | None]:
    return (ref.component, ref.variable, ref.variable_instance)


def _above(value: str, highest: int) -> bool:
    try:
        return float(value) > highest
    except ValueError:
        return False
