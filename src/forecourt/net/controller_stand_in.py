"""The controller in the CSMS's place while that can't be reached, and how it tells the CSMS later.

Guarantees (`controller.md` §1, offline; OCPP 1.6 §3.7, §4.8; OCPP 2.0.1 E04)
* Every call of the station that a CSMS has to answer gets its answer: tokens by what is known of them, the start of a
  transaction with a provisional id where the CSMS issues them, reports and readings by an acknowledgement. What only
  the CSMS can answer (DataTransfer, certificates) is refused with a call error.
* What was answered is in the backlog, with its bytes as they came. When the CSMS is there again it hears, in this
  order, one message at a time: the boot that it has missed, the present state of connectors, the queue. Until the queue
  is empty new messages of transactions go to its end.
* Only the transaction id is changed in what it hears, to the one that it has issued itself by then; a
  TransactionEvent says `offline`.
* A message without an answer is repeated unchanged; one that is refused too often is put aside, with an alarm.
* A transaction whose token the CSMS then does not accept is stopped, unless the site says otherwise.
"""

import logging
from typing import Final, NamedTuple

from forecourt.controller.backlog import BOOT, Backlog, Entry, News, Part
from forecourt.controller.controller import Controller
from forecourt.controller.effects import Alarm, Effect
from forecourt.controller.site_memory import SiteMemory
from forecourt.controller.transaction_ids import NOBODYS
from forecourt.dialect.port import Dialect, Inexpressible, StationCall, Untranslatable
from forecourt.dialect.transaction_ids import in_payload, marked_offline
from forecourt.domain.clock import Now
from forecourt.domain.events import (
    Acknowledged,
    BootAnswer,
    ChargingStateReported,
    ConnectorStatusReported,
    HeartbeatAnswer,
    HeartbeatSent,
    MeterSampled,
    Notice,
    StationBooted,
    TransactionAnswer,
    TransactionAuthorized,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.requests import Authorize, AuthorizeAnswer, RequestStopTransaction
from forecourt.domain.sentence import say
from forecourt.domain.station import RegistrationStatus
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.rpc.errors import Cause
from forecourt.rpc.events import Abandoned, Answered, CallReceived, Outcome, Refused
from forecourt.rpc.relay import Relay
from forecourt.rpc.relay_events import Side

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 300
PENDING_S: Final = 60
"""When a station that the CSMS has never accepted may ask again."""
_MOMENT_S: Final = 1.0


class _Telling(NamedTuple):
    """A message on its way to the CSMS."""

    about: str | None
    news: News | None
    seq: int


class _Stop(NamedTuple):
    transaction_id: str


class StandIn:
    """For one station, as long as it is known to the controller; what it has to remember is in `memory`."""

    def __init__(
        self, station_id: str, dialect: Dialect, relay: Relay, controller: Controller, memory: SiteMemory
    ) -> None:
        self._station_id = station_id
        self._dialect = dialect
        self._relay = relay
        self._controller = controller
        self._settings = controller.settings.offline
        self._memory = memory
        self._backlog: Backlog = memory.backlogs[station_id]
        self._telling: _Telling | None = None
        self._retry_at_s: float | None = None
        self._issued: list[tuple[int, str]] = []

    @property
    def stands_in(self) -> bool:
        """Whether the station has nobody else to talk to: no CSMS, or one that has not accepted its boot yet."""
        if self._settings.mode == "strict":
            return False
        return not self._relay.is_up(Side.CSMS) or BOOT in self._backlog.news

    def takes(self, call: CallReceived, said: StationCall | None, now: Now) -> bool:
        """Answer the call, where that is the controller's to do; a boot isn't (`boot`)."""
        part, _ = _story(said)
        again = self._backlog.same(call.action, call.payload.decode()) if part is not None else None
        if again is None and not self.stands_in:
            behind = (
                len(self._backlog) > 0 if part not in {None, Part.REPORT} else _is_news(said) and self._backlog.news
            )
            if not behind:
                return False
        self._answer(call, said, again, now)
        self.pump(now)
        return True

    def take_issued(self) -> list[tuple[int, str]]:
        """EVSEs whose transactions have got a provisional id since the last time, and the ids."""
        taken, self._issued = self._issued, []
        return taken

    def boot(self, call: CallReceived, notice: Notice, booted: StationBooted, now: Now) -> RegistrationStatus:
        """Answer a boot that the CSMS can't hear."""
        registration = self._memory.registry.verdict(self._station_id, booted.identity, now.at)
        interval_s = PENDING_S
        if registration is RegistrationStatus.ACCEPTED:
            interval_s = HEARTBEAT_S
            self._backlog.new(BOOT, call.action, call.payload.decode())
        answer = BootAnswer(registration=registration, now=now.at, interval_s=interval_s)
        self._relay.answer_locally(Side.STATION, call, self._dialect.encode_call_answer(notice, answer))
        return registration

    def boot_heard(self) -> None:
        """The CSMS has heard a boot of the station itself."""
        self._backlog.old(BOOT)

    def station_is_up(self, now: Now) -> None:
        """The station can be spoken to again."""
        for transaction_id in self._backlog.stops:
            self._stop(transaction_id, now)

    # telling the CSMS

    def next_deadline(self) -> float | None:
        """When to pump again, on the protocol's clock."""
        waits = self._telling is None and self._relay.is_up(Side.CSMS)
        return self._retry_at_s if waits else None

    def csms_is_up(self, now: Now) -> None:
        """The CSMS can be reached (again)."""
        self._telling = None
        self._retry_at_s = None
        self.pump(now)

    def pump(self, now: Now) -> None:
        """Tell the CSMS the next message, if nothing stands against it."""
        if self._telling is not None or not self._relay.is_up(Side.CSMS):
            return
        if self._retry_at_s is not None and now.protocol_s < self._retry_at_s:
            return
        self._retry_at_s = None
        about, entry = self._backlog.next_news(), self._backlog.head
        if about is not None:
            news = self._backlog.news[about]
            telling, action, payload = _Telling(about, news, 0), news.action, news.payload.encode()
        elif entry is not None:
            telling, action = _Telling(None, None, entry.seq), entry.action
            payload = in_payload(self._dialect, action, entry.payload.encode(), self._csms_id)
            payload = marked_offline(self._dialect, action, payload)
        else:
            return
        if self._relay.call(Side.CSMS, action, payload, now.protocol_s, token=telling):
            self._telling = telling
        else:
            self._retry_at_s = now.protocol_s + _MOMENT_S

    def told(self, outcome: Outcome, now: Now) -> list[Effect]:
        """What became of a message that was told, or of a call to stop a transaction."""
        if isinstance(outcome.token, _Stop):
            return self._stopped(outcome.token, outcome)
        if outcome.token != self._telling or self._telling is None:
            return []
        telling, self._telling = self._telling, None
        match outcome:
            case Answered():
                effects = self._answered(telling, outcome, now)
            case Refused():
                effects = self._refused(telling, now)
            case Abandoned():
                effects = []
            case _:
                self._retry_at_s = now.protocol_s + self._settings.retry_s
                effects = []
        self.pump(now)
        return effects

    def _answered(self, telling: _Telling, answer: Answered, now: Now) -> list[Effect]:
        if telling.about is None:
            return self._entry_answered(telling, answer, now)
        if telling.about != BOOT:
            self._backlog.old(telling.about, telling.news)
            return []
        assert telling.news is not None
        told = self._understood(telling.news.action, telling.news.payload.encode(), answer.payload, now)
        notice, boot = told or (None, None)
        if notice is not None and isinstance(boot, BootAnswer):
            if boot.registration is RegistrationStatus.ACCEPTED:
                (booted,) = [event for event in notice.events if isinstance(event, StationBooted)]
                registry = self._memory.registry
                registry.accepted(self._station_id, booted.identity, self._dialect.subprotocol, now.at)
                self._backlog.old(BOOT, telling.news)
                return []
            self._memory.registry.not_accepted(self._station_id)
            self._retry_at_s = now.protocol_s + max(boot.interval_s, 10)
            words = "{station} runs on, but its CSMS says {verdict}"
            return [Alarm("boot-refused", say(words, station=self._station_id, verdict=boot.registration.value))]
        self._retry_at_s = now.protocol_s + self._settings.retry_s
        return []

    def _entry_answered(self, telling: _Telling, answer: Answered, now: Now) -> list[Effect]:
        entry = self._backlog.head
        if entry is None or entry.seq != telling.seq:
            return []
        told = self._understood(entry.action, entry.payload.encode(), answer.payload, now)
        issues = self._dialect.capabilities.csms_issues_transaction_ids
        if entry.part is Part.START and issues and (told is None or not _issued(told[1])):
            return self._refused(telling, now)
        self._backlog.told(telling.seq)
        notice, verdict = told or (None, None)
        if notice is None or not isinstance(verdict, TransactionAnswer):
            return []
        transaction_id = entry.transaction_id
        if entry.part is Part.START and transaction_id is not None and verdict.transaction_id is not None:
            self._memory.ids.learn(self._station_id, transaction_id, verdict.transaction_id)
        info, token = verdict.id_token_info, token_of(notice)
        if info is None or token is None:
            return []
        self._memory.tokens.learn(token, info, now.at)
        starts = entry.part in {Part.START, Part.UPDATE}
        if starts and info.status is not AuthorizationStatus.ACCEPTED and transaction_id is not None:
            return self._invalid(transaction_id, info, now)
        return []

    def _refused(self, telling: _Telling, now: Now) -> list[Effect]:
        if telling.about == BOOT:
            self._retry_at_s = now.protocol_s + self._settings.retry_s
            return []
        if telling.about is not None:
            self._backlog.old(telling.about, telling.news)
            return []
        aside = self._backlog.refused(telling.seq, self._settings.attempts)
        if aside is None:
            self._retry_at_s = now.protocol_s + self._settings.retry_s
            return []
        issues = self._dialect.capabilities.csms_issues_transaction_ids
        if aside.part is Part.START and issues and aside.transaction_id is not None:
            self._memory.ids.learn(self._station_id, aside.transaction_id, NOBODYS)
        words = "{station}: the CSMS refuses a kept {action}; it is put aside"
        return [Alarm("message-refused", say(words, station=self._station_id, action=aside.action))]

    def _understood(
        self, action: str, payload: bytes, answer: bytes, now: Now
    ) -> tuple[Notice, BootAnswer | TransactionAnswer] | None:
        try:
            said = self._dialect.decode_call(action, payload, received_at=now.at).value
            told = self._dialect.decode_call_answer(said, answer).value
        except Untranslatable:
            return None
        return (said, told) if isinstance(said, Notice) and isinstance(told, BootAnswer | TransactionAnswer) else None

    def _csms_id(self, own_id: str) -> str:
        return self._memory.ids.of_station(self._station_id, own_id)

    # a token that was good enough for us, and is not for the CSMS

    def _invalid(self, transaction_id: str, info: IdTokenInfo, now: Now) -> list[Effect]:
        if self._backlog.ends(transaction_id) or not self._settings.stop_on_invalid:
            return []
        self._backlog.stop(transaction_id)
        self._stop(transaction_id, now)
        words = "{station}: a transaction begun offline is stopped, its token is {verdict}"
        return [Alarm("invalid-after-offline", say(words, station=self._station_id, verdict=info.status.value))]

    def _stop(self, transaction_id: str, now: Now) -> None:
        try:
            message = self._dialect.encode_request(RequestStopTransaction(transaction_id=transaction_id))
        except Inexpressible:
            return
        token = _Stop(transaction_id)
        self._relay.call(Side.STATION, message.action, message.payload, now.protocol_s, token=token, priority=50)

    def _stopped(self, stop: _Stop, outcome: Outcome) -> list[Effect]:
        if isinstance(outcome, Answered | Refused):
            self._backlog.stopped(stop.transaction_id)
        return []

    # answering the station

    def _answer(self, call: CallReceived, said: StationCall | None, again: Entry | None, now: Now) -> None:
        match said:
            case Authorize(certificate=None, certificate_hashes=()):
                info = self._verdict(said.id_token, now)
                payload = self._dialect.encode_call_answer(said, AuthorizeAnswer(id_token_info=info))
            case Notice() if any(isinstance(event, HeartbeatSent) for event in said.events):
                payload = self._dialect.encode_call_answer(said, HeartbeatAnswer(now=now.at))
            case Notice():
                payload = self._taken_in(call, said, again, now)
            case _:
                self._relay.refuse(Side.STATION, call, Cause.INTERNAL, "the CSMS can't be reached")
                return
        self._relay.answer_locally(Side.STATION, call, payload)

    def _taken_in(self, call: CallReceived, notice: Notice, again: Entry | None, now: Now) -> bytes:
        part, transaction_id = _story(notice)
        text = call.payload.decode()
        if _is_news(notice):
            for event in notice.events:
                if isinstance(event, ConnectorStatusReported | ChargingStateReported):
                    self._backlog.new(f"1-{event.evse_id or 0:04d}-{event.connector_id or 0}", call.action, text)
        elif part is not None:
            if again is None:
                if part is Part.START and transaction_id is None:
                    transaction_id = self._memory.ids.fresh(self._station_id)
                again = self._backlog.add(call.action, text, part, transaction_id)
            transaction_id = again.transaction_id
            for event in notice.events:
                if isinstance(event, TransactionStarted) and event.transaction_id is None and transaction_id:
                    self._issued.append((event.evse_id, transaction_id))
        token = token_of(notice)
        info = None if token is None else self._verdict(token, now)
        try:
            answer = TransactionAnswer(id_token_info=info, transaction_id=transaction_id)
            if part in {None, Part.REPORT}:
                return self._dialect.encode_call_answer(notice, Acknowledged())
            return self._dialect.encode_call_answer(notice, answer)
        except Inexpressible:
            return b"{}"

    def _verdict(self, token: IdToken, now: Now) -> IdTokenInfo:
        return self._memory.tokens.verdict(self._station_id, token, now.at)


def token_of(notice: Notice) -> IdToken | None:
    """The token that a message presents."""
    for event in notice.events:
        if isinstance(event, TransactionStarted | TransactionAuthorized | TransactionEnded) and event.id_token:
            return event.id_token
    return None


def _issued(answer: BootAnswer | TransactionAnswer) -> bool:
    return isinstance(answer, TransactionAnswer) and bool(answer.transaction_id)


def _is_news(said: StationCall | None) -> bool:
    """Whether it tells of the present, and nothing of a transaction."""
    return (
        isinstance(said, Notice)
        and said.sequence is None
        and bool(said.events)
        and all(isinstance(event, ConnectorStatusReported | ChargingStateReported) for event in said.events)
    )


def _story(said: StationCall | None) -> tuple[Part | None, str | None]:
    """Which part of which transaction's story a message tells; None: it is not to be kept in the queue."""
    if not isinstance(said, Notice) or _is_news(said):
        return None, None
    for event in said.events:
        match event:
            case TransactionStarted():
                return Part.START, event.transaction_id
            case TransactionEnded():
                return Part.END, event.transaction_id
            case MeterSampled() | TransactionAuthorized():
                return Part.UPDATE, event.transaction_id
            case StationBooted() | HeartbeatSent():
                return None, None
            case _:
                pass
    if said.sequence is not None:
        return Part.UPDATE, said.sequence.transaction_id
    return Part.REPORT, None
