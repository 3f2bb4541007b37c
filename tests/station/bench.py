"""A station in virtual time, with a CSMS that speaks the domain and hardware that obeys at once."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from forecourt.domain import requests as r
from forecourt.domain.clock import Now
from forecourt.domain.events import (
    Acknowledged,
    Answer,
    BootAnswer,
    HeartbeatAnswer,
    HeartbeatSent,
    Notice,
    StationBooted,
    StationEvent,
    TransactionAnswer,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.meter import Measurand, SampledValue
from forecourt.domain.station import Capabilities, RegistrationStatus, StationIdentity
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.variable import VariableSetting
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.station.inputs import CallFailure, LockOutcome, Pilot
from forecourt.station.station import Station
from forecourt.store.journal import MemoryJournal

T = TypeVar("T")

START = datetime(2025, 6, 2, 11, 59, 30, tzinfo=UTC)
ONE = Capabilities(
    csms_issues_transaction_ids=True,
    sequence_numbers=False,
    reports_charging_state_without_transaction=True,
    variables_in_batches=False,
    reset_on_idle=False,
    unlock_ends_transaction=True,
    profiles_replace_same_level=True,
    register_apart_at_end=True,
)
"""A protocol whose CSMS issues transaction ids."""
TWO = Capabilities(
    csms_issues_transaction_ids=False,
    sequence_numbers=True,
    reports_charging_state_without_transaction=False,
    variables_in_batches=True,
    reset_on_idle=True,
    reports_variables_in_parts=True,
)
"""A protocol of numbered transaction events."""

IDENTITY = StationIdentity(vendor_name="Vendor", model="Model")
ALICE = IdToken("ALICE")
BOB = IdToken("BOB")
MALLORY = IdToken("MALLORY")
HOUSEHOLD = IdToken("HOUSEHOLD")


def accepted(group: IdToken | None = None) -> IdTokenInfo:
    return IdTokenInfo(status=AuthorizationStatus.ACCEPTED, group_id_token=group)


class Csms:
    """Answers every call; what it answers can be changed. `calls` has everything it was told, in order."""

    def __init__(self) -> None:
        self.calls: list[Notice | r.StationRequest] = []
        self.registration = RegistrationStatus.ACCEPTED
        self.interval_s = 300
        self.clock_ahead_s = 0.0
        self.tokens: dict[str, IdTokenInfo] = {"mallory": IdTokenInfo(status=AuthorizationStatus.INVALID)}
        self.last_transaction_id = 100
        self.refuses: Callable[[Any], CallFailure | None] = lambda _: None
        self.seen: Callable[[Any], None] = lambda _: None
        self.silent = False

    def info(self, id_token: IdToken | None) -> IdTokenInfo:
        return accepted() if id_token is None else self.tokens.get(id_token.key, accepted())

    def answer(self, call: Any, now: Now) -> Any:
        self.calls.append(call)
        self.seen(call)
        if isinstance(call, r.Authorize):
            return r.AuthorizeAnswer(id_token_info=self.info(call.id_token))
        if isinstance(call, r.DataTransfer):
            return r.DataTransferAnswer(outcome=r.DataTransferStatus.ACCEPTED)
        event = call.events[0]
        csms_now = now.at + timedelta(seconds=self.clock_ahead_s)
        if isinstance(event, StationBooted):
            return BootAnswer(registration=self.registration, now=csms_now, interval_s=self.interval_s)
        if isinstance(event, HeartbeatSent):
            return HeartbeatAnswer(now=csms_now)
        if isinstance(event, TransactionStarted):
            self.last_transaction_id += 1
            return TransactionAnswer(
                id_token_info=self.info(event.id_token), transaction_id=str(self.last_transaction_id)
            )
        if isinstance(event, TransactionEnded):
            return TransactionAnswer(id_token_info=self.info(event.id_token) if event.id_token else None)
        return Acknowledged()

    def told(self, kind: type[T]) -> list[T]:
        """The events of one kind, in order."""
        events: Iterable[StationEvent] = (
            event for call in self.calls if isinstance(call, Notice) for event in call.events
        )
        return [event for event in events if isinstance(event, kind)]


class Bench:
    """Station, CSMS, link, locks and meters; `run` lets time pass."""

    def __init__(
        self,
        capabilities: Capabilities = ONE,
        *,
        evses: tuple[EvseConfig, ...] = (EvseConfig(), EvseConfig()),
        journal: MemoryJournal | None = None,
        now: Now | None = None,
        csms: Csms | None = None,
        first_id: int = 0,
        **config: Any,
    ) -> None:
        self.csms = csms or Csms()
        self.now = now or Now(1000.0, 5000.0, START)
        self.journal = journal or MemoryJournal()
        self.config = StationConfig(identity=IDENTITY, evses=evses, **config)
        self._ids = iter(range(first_id + 1, first_id + 10_000))
        self.station = Station(self.config, capabilities, lambda: f"own-{next(self._ids)}")
        self.effects: list[e.Effect] = []
        self.dated: list[tuple[float, e.Effect]] = []
        self.link = False
        self.lock_outcome: LockOutcome | None = LockOutcome.LOCKED
        self.unlock_outcome: LockOutcome | None = LockOutcome.UNLOCKED
        self.energy_wh: dict[int, float] = dict.fromkeys(range(1, len(evses) + 1), 1000.0)
        self.power_w: dict[int, float] = dict.fromkeys(self.energy_wh, 0.0)
        self._request_number = 0
        self.unanswered: list[e.Send] = []
        self.on_persist: Callable[[], None] = lambda: None
        self._carry_out(self.station.restore(self.journal.load(), self.now))

    # Driving

    def tell(self, received: i.Input) -> list[e.Effect]:
        """Step, carry out the effects, and return all that came of it."""
        mark = len(self.effects)
        self._carry_out(self.station.step(received, self.now))
        return self.effects[mark:]

    def _carry_out(self, effects: list[e.Effect]) -> None:
        todo = list(effects)
        while todo:
            todo.extend(self._perform(todo.pop(0)))

    def _perform(self, effect: e.Effect) -> list[e.Effect]:
        """Carry out one effect; the effects that come of it."""
        self.effects.append(effect)
        self.dated.append((self.now.elapsed_s, effect))
        if isinstance(effect, e.Persist):
            self.journal.commit(effect.changes)
            self.on_persist()
        elif isinstance(effect, e.Send):
            return self._send(effect)
        elif isinstance(effect, e.LockConnector) and self.lock_outcome:
            return self.station.step(i.LockChanged(effect.evse_id, self.lock_outcome), self.now)
        elif isinstance(effect, e.ReleaseConnector) and self.unlock_outcome:
            return self.station.step(i.LockChanged(effect.evse_id, self.unlock_outcome), self.now)
        return []

    def _send(self, send: e.Send) -> list[e.Effect]:
        assert self.link, "a call without a link"
        if self.csms.silent:
            self.unanswered.append(send)
            return []
        failure = self.csms.refuses(send.call)
        if failure is not None:
            return self.station.step(i.CallFailed(send.call_id, failure), self.now)
        return self.station.step(i.CallAnswered(send.call_id, self.csms.answer(send.call, self.now)), self.now)

    def run(self, seconds: float) -> list[e.Effect]:
        """Let this much time pass on all clocks."""
        mark = len(self.effects)
        until = self.now.elapsed_s + seconds
        while True:
            deadlines = self.station.next_deadlines()
            waits = [until - self.now.elapsed_s]
            if deadlines.protocol_s is not None:
                waits.append(deadlines.protocol_s - self.now.protocol_s)
            if deadlines.elapsed_s is not None:
                waits.append(deadlines.elapsed_s - self.now.elapsed_s)
            self._advance(max(0.0, min(waits)))
            if self.station.next_deadlines().due(self.now):
                self._read_meters()
                self._carry_out(self.station.expire(self.now))
                after = self.station.next_deadlines()
                assert not after.due(self.now), f"does not come to rest: {after} at {self.now}"
            if self.now.elapsed_s >= until:
                return self.effects[mark:]

    def _advance(self, seconds: float) -> None:
        # Rounded, so that a float's last digit keeps no deadline from being due.
        self.now = Now(
            round(self.now.protocol_s + seconds, 6),
            round(self.now.elapsed_s + seconds, 6),
            self.now.at + timedelta(seconds=seconds),
        )
        for evse_id, power_w in self.power_w.items():
            self.energy_wh[evse_id] += power_w * seconds / 3600

    def _read_meters(self) -> None:
        for evse_id, energy_wh in self.energy_wh.items():
            samples = (
                SampledValue(energy_wh),
                SampledValue(self.power_w[evse_id], Measurand.POWER_ACTIVE_IMPORT),
            )
            self._carry_out(self.station.step(i.MeterReading(evse_id, samples), self.now))

    # What people and hardware do

    def connect(self) -> list[e.Effect]:
        self.link = True
        return self.tell(i.LinkUp())

    def disconnect(self) -> list[e.Effect]:
        self.link = False
        self.unanswered.clear()
        return self.tell(i.LinkDown())

    def plug(self, evse_id: int = 1, pilot: Pilot = Pilot.B) -> list[e.Effect]:
        self._read_meters()
        return self.tell(i.PilotChanged(evse_id, pilot))

    def ready(self, evse_id: int = 1, power_w: float = 7200.0) -> list[e.Effect]:
        self.power_w[evse_id] = power_w
        return self.tell(i.PilotChanged(evse_id, Pilot.C))

    def unplug(self, evse_id: int = 1) -> list[e.Effect]:
        self.power_w[evse_id] = 0.0
        self._read_meters()
        return self.tell(i.PilotChanged(evse_id, Pilot.A))

    def tap(self, id_token: IdToken = ALICE, evse_id: int | None = None) -> list[e.Effect]:
        self._read_meters()
        return self.tell(i.TokenPresented(id_token, evse_id))

    def ask(self, request: r.CsmsRequest) -> Any:
        """What the CSMS gets for a request: the answer, or None for silence."""
        self._request_number += 1
        request_id = f"request-{self._request_number}"
        self._read_meters()
        effects = self.tell(i.RequestReceived(request_id, request))
        return next((effect.answer for effect in effects if isinstance(effect, e.Reply)), None)

    def charging(self, evse_id: int = 1, id_token: IdToken = ALICE) -> None:
        """Reusable state: a car is charging."""
        if not self.link:
            self.connect()
        self.plug(evse_id)
        self.tap(id_token, evse_id)
        self.ready(evse_id)

    def charging_offline(self, evse_id: int = 1, id_token: IdToken = ALICE) -> None:
        """As `charging`, without a link."""
        self.plug(evse_id)
        self.tap(id_token, evse_id)
        self.ready(evse_id)

    def set(self, ref: Any, value: str) -> None:
        answer = self.ask(r.SetVariables(settings=(VariableSetting(ref, value),)))
        assert answer.results[0].outcome in {"Accepted", "RebootRequired"}, answer

    def states(self, evse_id: int = 1) -> list[str]:
        """The connector's states as told, in the words of a state machine."""
        from forecourt.domain.events import ChargingStateReported, ConnectorStatusReported

        words = []
        for call in self.csms.calls:
            for event in call.events if isinstance(call, Notice) else ():
                if isinstance(event, ConnectorStatusReported) and event.evse_id == evse_id:
                    words.append(event.connector_status.value)
                if isinstance(event, ChargingStateReported) and event.evse_id == evse_id:
                    words.append(event.charging_state.value)
        return words

    def took(self, kind: type[T]) -> list[T]:
        """Effects of one kind, all so far."""
        return [effect for effect in self.effects if isinstance(effect, kind)]


def answer_of(answer: Answer | None) -> Answer:
    assert answer is not None
    return answer
