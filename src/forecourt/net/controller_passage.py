"""One station's way through the controller: every call gets the verdict of the policy table.

Guarantees (`controller.md` §1)
* What is only relayed passes byte for byte, but for a transaction id that station and CSMS know by different numbers.
  What is kept for the controller is a copy, and a payload that can't be understood is passed on all the same.
* A station is spoken to only once it is registered: its boot was accepted on this connection, or it came back without
  one, which only a registered station does (OCPP 1.6 §4.2).
* When the upstream is gone the stand-in answers (`autonomy`), or a call stays unanswered, as it would on a broken
  direct connection (`strict`); also one that was under way.
* Readings that are more than the CSMS asked for, because the control wants them, end here (`sampling`).
* What the CSMS says of tokens is remembered.

What the CSMS asks goes through `controller_downward`.
"""

import logging
from collections.abc import Callable
from typing import Final

from forecourt.controller.controller import Controller
from forecourt.controller.effects import AskStation, Effect
from forecourt.controller.measurands import Measurands
from forecourt.controller.passage import agreed_boot
from forecourt.controller.policy import PRESETS, Direction, Policy, Verdict, verdict
from forecourt.controller.sampling import Sampling
from forecourt.controller.site_memory import SiteMemory
from forecourt.dialect.port import Dialect, Inexpressible, StationCall, Untranslatable
from forecourt.dialect.transaction_ids import in_answer, in_call
from forecourt.domain.clock import Now
from forecourt.domain.events import (
    Acknowledged,
    BootAnswer,
    HeartbeatAnswer,
    HeartbeatSent,
    Notice,
    StationBooted,
    TransactionAnswer,
    TransactionStarted,
)
from forecourt.domain.requests import (
    Authorize,
    AuthorizeAnswer,
    CsmsRequest,
    CsmsRequestAnswer,
    RequestStatus,
    SetVariablesAnswer,
    TriggerMessage,
)
from forecourt.domain.station import RegistrationStatus
from forecourt.domain.variable import SetVariableStatus
from forecourt.net.controller_downward import Downward
from forecourt.net.controller_reporting import Question, Reporting
from forecourt.net.controller_said import boot_in, starts, wants_answer
from forecourt.net.controller_stand_in import StandIn, token_of
from forecourt.rpc.events import Abandoned, Answered, CallReceived, Outcome, Refused
from forecourt.rpc.relay import Relay
from forecourt.rpc.relay_events import (
    AnswerHeld,
    AnswerRelayed,
    CallArrived,
    OwnOutcome,
    RelayEvent,
    SendArrived,
    Side,
    Unanswered,
)

log = logging.getLogger(__name__)

_REMEMBERED_CALLS: Final = 64
_NOTHING: Final = b"{}"


class Passage:
    """See the module. `own_password` says whether the controller has a password of its own for the upstream link of a
    station; with another one, which the CSMS has set, that becomes it."""

    def __init__(
        self,
        station_id: str,
        dialect: Dialect,
        relay: Relay,
        controller: Controller,
        memory: SiteMemory,
        own_password: Callable[[str, str | None], bool],
    ) -> None:
        self.station_id = station_id
        self.dialect = dialect
        self.relay = relay
        self.registered = False
        self.stand_in = StandIn(station_id, dialect, relay, controller, memory)
        self._controller = controller
        self._memory = memory
        self._policy: Policy = PRESETS[controller.settings.preset]
        known, numbered = memory.registry.of(station_id), dialect.capabilities.sequence_numbers
        self._sampling = Sampling(controller.settings, known.sample_interval_s, numbered=numbered)
        measurands = Measurands(self._sampling.measured_by, known.measurands)
        self._reporting = Reporting(station_id, dialect, relay, self._sampling, measurands, memory.registry)
        readings = self._sampling, measurands
        self._downward = Downward(station_id, dialect, relay, controller, memory, *readings, own_password)
        self._said: dict[str, StationCall] = {}
        """What the station said in calls whose answer the controller wants to see, by message id."""
        self._asked: dict[int, CsmsRequest] = {}
        self._greeted_at_s: float | None = None

    # the legs

    def station_up(self, now: Now) -> list[Effect]:
        """The station is connected. One accepted before may have lost its link, or its power: that shows soon."""
        self.registered = False
        self._said.clear()
        self._greeted_at_s = None
        if self._memory.registry.is_accepted(self.station_id, now.at):
            self._greeted_at_s = now.protocol_s + self._controller.settings.offline.greeting_s
        effects = self._handled(self.relay.leg_up(Side.STATION, now.protocol_s), now)
        self.stand_in.station_is_up(now)
        return effects

    def station_lost(self, now: Now) -> list[Effect]:
        """The station is gone, for now."""
        self.registered = False
        self._greeted_at_s = None
        effects = self._controller.station_lost(self.station_id, now)
        return [*effects, *self._handled(self.relay.leg_lost(Side.STATION, now.protocol_s), now)]

    def csms_up(self, now: Now) -> list[Effect]:
        """The CSMS can be reached."""
        effects = self._handled(self.relay.leg_up(Side.CSMS, now.protocol_s), now)
        self.stand_in.csms_is_up(now)
        return effects

    def csms_lost(self, now: Now) -> list[Effect]:
        """The CSMS can't be reached any more."""
        return self._handled(self.relay.leg_lost(Side.CSMS, now.protocol_s), now)

    def _handled(self, events: list[RelayEvent], now: Now) -> list[Effect]:
        return [effect for event in events for effect in self.handle(event, now)]

    def next_deadline(self) -> float | None:
        """When to call `expire`, on the protocol's clock."""
        deadlines = (self.relay.next_deadline(), self.stand_in.next_deadline(), self._greeted_at_s)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def expire(self, now: Now) -> list[Effect]:
        """Time has passed."""
        effects = self._handled(self.relay.expire(now.protocol_s), now)
        self.stand_in.pump(now)
        if self._greeted_at_s is not None and self._greeted_at_s <= now.protocol_s:
            effects += self._registered(now)
        return effects

    def handle(self, event: RelayEvent, now: Now) -> list[Effect]:
        """Act on what the relay tells."""
        match event:
            case CallArrived(side=Side.STATION, call=call):
                return self._from_station(call, now)
            case CallArrived(side=Side.CSMS, call=call):
                return self._downward.call(call, now)
            case SendArrived(side=side, send=send):
                self.relay.pass_send(side, send)
            case AnswerHeld(side=Side.STATION, call=call, answer=answer):
                return self._held(call, answer if isinstance(answer, Answered) else None, now)
            case AnswerHeld(side=Side.CSMS, call=call, answer=answer):
                self._downward.held(call, answer)
            case AnswerRelayed(side=Side.STATION, call=call, answer=Answered() as answer):
                return self._station_answered(call, answer, now)
            case AnswerRelayed(side=Side.CSMS, call=call, answer=Answered() as answer):
                return self._downward.answered(call, answer, now)
            case Unanswered(side=side, call=call, outcome=outcome, still_open=True):
                return self._unanswered(side, call, outcome, now)
            case OwnOutcome(side=Side.STATION, outcome=outcome) if isinstance(outcome.token, Question):
                self._reporting.told(outcome.token, outcome, now)
            case OwnOutcome(side=Side.STATION, outcome=outcome) if isinstance(outcome.token, int):
                return self._own_outcome(outcome.token, outcome, now)
            case OwnOutcome(outcome=outcome):
                return self.stand_in.told(outcome, now)
        return []

    def ask(self, effect: AskStation, now: Now) -> list[Effect]:
        """Say something to the station in the controller's own name."""
        try:
            message = self.dialect.encode_request(effect.request)
        except Inexpressible:
            return self._controller.answered(effect.token, accepted=False, now=now)
        self._asked[effect.token] = effect.request
        if isinstance(effect.request, TriggerMessage):
            self._sampling.asks(effect.request.evse_id, now.protocol_s)
        sent = self.relay.call(
            Side.STATION,
            message.action,
            message.payload,
            now.protocol_s,
            token=effect.token,
            timeout_s=self._controller.settings.answer_timeout_s,
            priority=int(effect.urgency),
        )
        if sent:
            return []
        self._asked.pop(effect.token)
        return self._controller.answered(effect.token, accepted=None, now=now)

    # from the station

    def _from_station(self, call: CallReceived, now: Now) -> list[Effect]:
        said = self._understood(call, now)
        effects: list[Effect] = []
        booted = boot_in(said)
        if booted is not None:
            self.registered = False
            self._greeted_at_s = None
            effects += self._controller.station_lost(self.station_id, now)
        elif not self.registered and (
            not self.stand_in.stands_in or self._memory.registry.is_accepted(self.station_id, now.at)
        ):
            effects += self._registered(now)
        if (
            isinstance(said, Notice)
            and booted is not None
            and not self.relay.is_up(Side.CSMS)
            and self.stand_in.stands_in
        ):
            if self.stand_in.boot(call, said, booted, now) is RegistrationStatus.ACCEPTED:
                effects += self._controller.station_said(self.station_id, said, now)
                return [*effects, *self._registered(now)]
        else:
            self._judge_station_call(call, said, now)
        if isinstance(said, Notice):
            effects += self._controller.station_said(self.station_id, said, now)
        return [*effects, *self._issued_here(now)]

    def _issued_here(self, now: Now) -> list[Effect]:
        effects: list[Effect] = []
        for evse_id, transaction_id in self.stand_in.take_issued():
            effects += self._controller.transaction_issued(self.station_id, evse_id, transaction_id, now)
        return effects

    def _registered(self, now: Now) -> list[Effect]:
        self.registered = True
        self._greeted_at_s = None
        self._controller.polls(self.station_id, self._sampling.polls_s)
        effects = self._controller.station_ready(self.station_id, now)
        self._reporting.begin(now)
        return effects

    def _judge_station_call(self, call: CallReceived, said: StationCall | None, now: Now) -> None:
        decision = verdict(self._policy, Direction.FROM_STATION, call.action)
        heartbeat = isinstance(said, Notice) and any(isinstance(event, HeartbeatSent) for event in said.events)
        if decision is Verdict.ANSWER_AND_FORWARD and said is not None and heartbeat:
            payload = self.dialect.encode_call_answer(said, HeartbeatAnswer(now=now.at))
            self.relay.answer_locally(Side.STATION, call, payload)
            self.relay.forward_and_drop_answer(Side.STATION, call, now.protocol_s)
            return
        if decision is Verdict.ANSWER:
            self.relay.answer_locally(Side.STATION, call, _NOTHING)
            return
        if isinstance(said, Notice) and self._ends_here(said, now):
            self.relay.answer_locally(Side.STATION, call, self.dialect.encode_call_answer(said, Acknowledged()))
            return
        if boot_in(said) is None and self.stand_in.takes(call, said, now):
            return
        hold = said is not None and (decision is Verdict.CHECK or self._issues_an_id(said))
        frame = in_call(self.dialect, call.action, call.frame, self._csms_id)
        if not self.relay.forward(Side.STATION, call, now.protocol_s, hold_answer=hold, frame=frame):
            self.relay.leave_unanswered(Side.STATION, call)
        elif said is not None and (hold or wants_answer(said)):
            self._said[call.message_id] = said
            if len(self._said) > _REMEMBERED_CALLS:
                del self._said[next(iter(self._said))]

    def _ends_here(self, said: Notice, now: Now) -> bool:
        """Whether it is a reading that only the control wants."""
        if self._sampling.was_asked_for(said, now.protocol_s):
            self._give_up_polling(now)
            return True
        return self._sampling.is_surplus(said)

    def _give_up_polling(self, now: Now) -> None:
        if self._sampling.gave_up():
            self._controller.polls(self.station_id, None)
            self._reporting.tell_interval(now)

    def _issues_an_id(self, said: StationCall) -> bool:
        return self.dialect.capabilities.csms_issues_transaction_ids and isinstance(said, Notice) and starts(said)

    def _understood(self, call: CallReceived, now: Now) -> StationCall | None:
        # As far as a CSMS would go that keeps books: what it takes for a transaction is one here.
        try:
            return self.dialect.decode_call(call.action, call.payload, received_at=now.at).value
        except Untranslatable as error:
            log.debug("%s: %s passes without being understood: %s", self.station_id, call.action, error.description)
            return None

    def _unanswered(self, side: Side, call: CallReceived, outcome: object, now: Now) -> list[Effect]:
        """A call that was passed on will get no answer. One of the station's is the stand-in's, if that is why."""
        if side is Side.CSMS or not isinstance(outcome, Abandoned) or not self.stand_in.stands_in:
            self.relay.leave_unanswered(side, call)
            return []
        self._said.pop(call.message_id, None)
        said = self._understood(call, now)
        booted = boot_in(said)
        if isinstance(said, Notice) and booted is not None:
            accepted = self.stand_in.boot(call, said, booted, now) is RegistrationStatus.ACCEPTED
            return self._registered(now) if accepted else []
        if not self.stand_in.takes(call, said, now):
            self.relay.leave_unanswered(side, call)
        return self._issued_here(now)

    def _held(self, call: CallReceived, answer: Answered | None, now: Now) -> list[Effect]:
        said = self._said.pop(call.message_id, None)
        if said is None or answer is None:
            self.relay.release(Side.STATION, call)
            return []
        booted = boot_in(said)
        if booted is not None:
            return self._boot_answered(call, said, booted, answer, now)
        frame = in_answer(self.dialect, call.action, answer.frame, self._issued_id)
        self.relay.release(Side.STATION, call, frame)
        return self._learnt(said, answer, now)

    def _boot_answered(
        self, call: CallReceived, said: StationCall, booted: StationBooted, answer: Answered, now: Now
    ) -> list[Effect]:
        try:
            boot = self.dialect.decode_call_answer(said, answer.payload).value
        except Untranslatable:
            self.relay.release(Side.STATION, call)
            return []
        assert isinstance(boot, BootAnswer)
        if boot.registration is RegistrationStatus.ACCEPTED:
            self._memory.registry.accepted(self.station_id, booted.identity, self.dialect.subprotocol, now.at)
            self.stand_in.boot_heard()
        else:
            self._memory.registry.not_accepted(self.station_id)
        agreed = agreed_boot(boot, known=self._controller.knows(self.station_id))
        if agreed is boot:
            self.relay.release(Side.STATION, call)
        else:
            self.relay.answer_locally(Side.STATION, call, self.dialect.encode_call_answer(said, agreed))
        self.stand_in.pump(now)
        return self._registered(now) if agreed.registration is RegistrationStatus.ACCEPTED else []

    def _station_answered(self, call: CallReceived, answer: Answered, now: Now) -> list[Effect]:
        said = self._said.pop(call.message_id, None)
        return [] if said is None else self._learnt(said, answer, now)

    def _learnt(self, said: StationCall, answer: Answered, now: Now) -> list[Effect]:
        """What the CSMS told the station: of tokens, and the ids of transactions."""
        try:
            told = self.dialect.decode_call_answer(said, answer.payload).value
        except Untranslatable:
            return []
        if isinstance(said, Authorize) and isinstance(told, AuthorizeAnswer):
            self._memory.tokens.learn(said.id_token, told.id_token_info, now.at)
        if not isinstance(said, Notice) or not isinstance(told, TransactionAnswer):
            return []
        token = token_of(said)
        if token is not None and told.id_token_info is not None:
            self._memory.tokens.learn(token, told.id_token_info, now.at)
        effects: list[Effect] = []
        for event in said.events:
            if told.transaction_id and isinstance(event, TransactionStarted):
                own_id = self._own_id(told.transaction_id)
                effects += self._controller.transaction_issued(self.station_id, event.evse_id, own_id, now)
        return effects

    # ids

    def _csms_id(self, own_id: str) -> str:
        return self._memory.ids.of_station(self.station_id, own_id)

    def _own_id(self, csms_id: str) -> str:
        return self._memory.ids.of_csms(self.station_id, csms_id)

    def _issued_id(self, csms_id: str) -> str:
        return self._memory.ids.issued(self.station_id, csms_id)

    # our own calls

    def _own_outcome(self, token: int, outcome: Outcome, now: Now) -> list[Effect]:
        request = self._asked.pop(token, None)
        if request is None:
            return []
        accepted: bool | None = None
        told: CsmsRequestAnswer | None = None
        if isinstance(outcome, Answered):
            try:
                told = self.dialect.decode_request_answer(request, outcome.payload).value
                if isinstance(told, SetVariablesAnswer):
                    # A limit that holds after the next restart doesn't hold.
                    accepted = all(one.outcome is SetVariableStatus.ACCEPTED for one in told.results)
                else:
                    accepted = getattr(told, "outcome", None) is RequestStatus.ACCEPTED
            except Untranslatable:
                accepted = None
        elif isinstance(outcome, Refused):
            accepted = False
        if isinstance(request, TriggerMessage) and accepted is not True:
            self._sampling.refused(request.evse_id)
            self._give_up_polling(now)
        return self._controller.answered(token, accepted, now, told)
