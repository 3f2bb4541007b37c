"""What the CSMS asks of a station, on its way through the controller.

Guarantees (`controller.md` §1)
* Every call gets the verdict of the policy table. What is only relayed passes byte for byte, but for a transaction id
  that station and CSMS know by different numbers.
* Charging profiles end here as constraints, those of remote starts as well; keys pass as the key policy allows.
* Where the control has stations report more than the CSMS asked for, the CSMS reads what it has set.
* What the station has agreed to is remembered: local lists, remote starts, an empty cache, an interval.
"""

import contextlib
from collections.abc import Callable

from forecourt.controller.constraints import acceptable_with_start
from forecourt.controller.controller import Controller
from forecourt.controller.effects import Effect
from forecourt.controller.measurands import Measurands
from forecourt.controller.passage import filtered, new_password, without_profile
from forecourt.controller.policy import KEY_RULES, PRESETS, Direction, KeyRule, Policy, Verdict, verdict
from forecourt.controller.sampling import INTERVAL, Sampling
from forecourt.controller.site_memory import SiteMemory
from forecourt.dialect.port import Dialect, Inexpressible, Untranslatable
from forecourt.dialect.transaction_ids import in_call, in_payload
from forecourt.domain.clock import Now
from forecourt.domain.profile import ChargingProfile
from forecourt.domain.requests import (
    ClearCache,
    ClearChargingProfile,
    GetCompositeSchedule,
    GetVariables,
    GetVariablesAnswer,
    RequestAnswer,
    RequestStartTransaction,
    RequestStatus,
    SendLocalList,
    SetChargingProfile,
    SetVariables,
    SetVariablesAnswer,
    StartAnswer,
    TriggeredMessage,
    TriggerMessage,
)
from forecourt.domain.variable import SetVariableStatus, VariableSetResult
from forecourt.net.controller_reporting import TAKEN
from forecourt.rpc.errors import Cause
from forecourt.rpc.events import Answered, CallReceived, Refused
from forecourt.rpc.relay import Relay
from forecourt.rpc.relay_events import Side


class Downward:
    """See the module. `own_password` as for `Passage`."""

    def __init__(
        self,
        station_id: str,
        dialect: Dialect,
        relay: Relay,
        controller: Controller,
        memory: SiteMemory,
        sampling: Sampling,
        measurands: Measurands,
        own_password: Callable[[str, str | None], bool],
    ) -> None:
        self.station_id = station_id
        self.dialect = dialect
        self.relay = relay
        self._controller = controller
        self._memory = memory
        self._sampling = sampling
        self._measurands = measurands
        self._own_password = own_password
        preset = controller.settings.preset
        self._policy: Policy = PRESETS[preset]
        self._key_rules: tuple[KeyRule, ...] = KEY_RULES[preset]
        self._starts: dict[str, tuple[int | None, ChargingProfile]] = {}

    def call(self, call: CallReceived, now: Now) -> list[Effect]:
        """The CSMS asks something."""
        match verdict(self._policy, Direction.FROM_CSMS, call.action):
            case Verdict.TAKE_IN:
                return self._take_in(call, now)
            case Verdict.FILTER:
                self._filter(call, now)
            case Verdict.REJECT:
                self._reject(call)
            case Verdict.REFUSE:
                self.relay.refuse(Side.CSMS, call, Cause.UNSUPPORTED_ACTION, "not offered through a local controller")
            case _:
                self._pass_down(call, now)
        return []

    def _pass_down(self, call: CallReceived, now: Now, payload: bytes | None = None) -> None:
        if payload is None:
            frame = in_call(self.dialect, call.action, call.frame, self._own_id)
            request = self._about_readings(call)
            if isinstance(request, TriggerMessage):
                self._sampling.csms_asks(request.evse_id)
            hold = isinstance(request, GetVariables)
            passed = self.relay.forward(Side.CSMS, call, now.protocol_s, frame=frame, hold_answer=hold)
        else:
            passed = self.relay.forward_altered(Side.CSMS, call, payload, now.protocol_s)
        if not passed:
            self.relay.leave_unanswered(Side.CSMS, call)

    def _about_readings(self, call: CallReceived) -> GetVariables | TriggerMessage | None:
        """The request, if it asks for a reading, or for a variable of which the CSMS is told otherwise than it is."""
        if not self._sampling.controls:
            return None
        try:
            request = self.dialect.decode_request(call.action, call.payload, strict=False).value
        except Untranslatable:
            return None
        if isinstance(request, TriggerMessage):
            return request if request.requested_message is TriggeredMessage.METER_VALUES else None
        if not isinstance(request, GetVariables):
            return None
        interval = self._sampling.hides and (request.refs is None or INTERVAL in request.refs)
        return request if interval or self._measurands.hides(request.refs) else None

    def held(self, call: CallReceived, answer: Answered | Refused) -> None:
        """The station has told its variables: of some the CSMS reads what it has set."""
        request = self._about_readings(call)
        if isinstance(request, GetVariables) and isinstance(answer, Answered):
            with contextlib.suppress(Untranslatable):
                told = self.dialect.decode_request_answer(request, answer.payload).value
                if isinstance(told, GetVariablesAnswer):
                    altered = self._sampling.as_it_is_told(told) if self._sampling.hides else told
                    altered = self._measurands.as_it_is_told(altered)
                    if altered is not told:
                        payload = self.dialect.encode_request_answer(request, altered)
                        self.relay.answer_locally(Side.CSMS, call, payload)
                        return
        self.relay.release(Side.CSMS, call)

    def _take_in(self, call: CallReceived, now: Now) -> list[Effect]:
        try:
            payload = in_payload(self.dialect, call.action, call.payload, self._own_id)
            request = self.dialect.decode_request(call.action, payload).value
        except Untranslatable as error:
            self.relay.refuse(Side.CSMS, call, error.cause, error.description)
            return []
        assert isinstance(request, SetChargingProfile | ClearChargingProfile | GetCompositeSchedule)
        answer, effects = self._controller.csms_asked(self.station_id, request, now)
        self.relay.answer_locally(Side.CSMS, call, self.dialect.encode_request_answer(request, answer))
        return effects

    def _filter(self, call: CallReceived, now: Now) -> None:
        try:
            request = self.dialect.decode_request(call.action, call.payload, strict=False).value
        except Untranslatable:
            self._pass_down(call, now)  # the station says what is wrong with it
            return
        match request:
            case SetVariables():
                self._filter_variables(call, request, now)
            case RequestStartTransaction(charging_profile=ChargingProfile() as profile):
                if not acceptable_with_start(profile):
                    refused = StartAnswer(outcome=RequestStatus.REJECTED)
                    self.relay.answer_locally(Side.CSMS, call, self.dialect.encode_request_answer(request, refused))
                    return
                self._starts[call.message_id] = (request.evse_id, profile)
                self._pass_down(call, now, self.dialect.encode_request(without_profile(request)).payload)
            case _:
                self._pass_down(call, now)

    def _filter_variables(self, call: CallReceived, request: SetVariables, now: Now) -> None:
        password = new_password(request, self._key_rules)
        if password is not None and self._own_password(self.station_id, None):
            taken = password.usable and self._own_password(self.station_id, password.text)
            status = SetVariableStatus.ACCEPTED if taken else SetVariableStatus.REJECTED
            results = tuple(VariableSetResult(setting.ref, status) for setting in request.settings)
            payload = self.dialect.encode_request_answer(request, SetVariablesAnswer(results=results))
            self.relay.answer_locally(Side.CSMS, call, payload)
            return
        passing = filtered(request, self._key_rules)
        if isinstance(passing, SetVariablesAnswer):
            payload = self.dialect.encode_request_answer(request, passing)
            self.relay.answer_locally(Side.CSMS, call, payload)
            return
        passing = self._measurands.as_it_passes(self._sampling.as_it_passes(passing))
        altered = None if passing is request else self.dialect.encode_request(passing).payload
        self._pass_down(call, now, altered)

    def _reject(self, call: CallReceived) -> None:
        try:
            request = self.dialect.decode_request(call.action, call.payload, strict=False).value
            payload = self.dialect.encode_request_answer(request, RequestAnswer(outcome=RequestStatus.REJECTED))
        except Untranslatable as error:
            self.relay.refuse(Side.CSMS, call, error.cause, error.description)
        except Inexpressible:
            self.relay.refuse(Side.CSMS, call, Cause.UNSUPPORTED_ACTION)
        else:
            self.relay.answer_locally(Side.CSMS, call, payload)

    def answered(self, call: CallReceived, answer: Answered, now: Now) -> list[Effect]:
        """What the station has agreed to: remote starts, local lists, an empty cache."""
        start = self._starts.pop(call.message_id, None)
        try:
            request = self.dialect.decode_request(call.action, call.payload, strict=False).value
            if not isinstance(request, RequestStartTransaction | SendLocalList | ClearCache | SetVariables):
                return []
            told = self.dialect.decode_request_answer(request, answer.payload).value
        except Untranslatable:
            return []
        if isinstance(request, SetVariables):
            if isinstance(told, SetVariablesAnswer) and all(one.outcome in TAKEN for one in told.results):
                asked_s = self._sampling.agreed(request)
                if asked_s is not None:
                    self._memory.registry.wants_samples(self.station_id, asked_s)
                if self._measurands.agreed(request):
                    self._memory.registry.samples(self.station_id, self._measurands.kept)
            return []
        if not isinstance(told, StartAnswer | RequestAnswer) or told.outcome is not RequestStatus.ACCEPTED:
            return []
        tokens = self._memory.tokens
        match request:
            case SendLocalList():
                tokens.listed(self.station_id, request)
            case ClearCache():
                tokens.clear()
            case RequestStartTransaction():
                tokens.vouched(request.id_token, now.at, self._controller.settings.offline.vouched_s)
        return [] if start is None else self._controller.started_remotely(self.station_id, *start)

    def _own_id(self, csms_id: str) -> str:
        return self._memory.ids.of_csms(self.station_id, csms_id)
