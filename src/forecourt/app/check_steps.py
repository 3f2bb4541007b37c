"""The checks that requirements name (`CHECKS`), and here those of what a charger can be told and asked."""

from typing import Annotated, Final

import msgspec

from forecourt.app.check_bench import Bench, evidence_of, text_of
from forecourt.app.check_charging import (
    HAND_S,
    ChargingProfileObeyed,
    Measured,
    MeasuredEvery,
    RemoteStart,
    RemoteStop,
    StartReading,
    StopReading,
    Suspended,
)
from forecourt.app.check_connection import (
    Authentication,
    BootFields,
    ClockRight,
    Encrypted,
    Subprotocol,
    TlsCipher,
    TlsVersion,
)
from forecourt.app.check_findings import Check, Finding, Outcome, Within, Words, judged, refused, unseen
from forecourt.csms.command_records import CommandState
from forecourt.dialect.variable_names import variable_of
from forecourt.domain.requests import (
    GetVariables,
    SetVariables,
    TriggeredMessage,
    TriggerMessage,
)
from forecourt.domain.variable import VariableSetting

_WITNESSES: Final = {
    TriggeredMessage.STATUS_NOTIFICATION: ("StatusNotification",),
    TriggeredMessage.BOOT_NOTIFICATION: ("BootNotification",),
    TriggeredMessage.METER_VALUES: ("MeterValues", "TransactionEvent"),
}
"""What a charger says when it is asked for that; any other by its own name."""


class Variable(Check, frozen=True, kw_only=True):
    """A configuration key can be set to a value, and has it afterwards."""

    name: str
    value: str

    async def look(self, bench: Bench) -> Finding:
        return await _set(bench, self.name, self.value)


class SampleInterval(Check, frozen=True, kw_only=True):
    """The interval of meter values can be set."""

    name: str
    interval_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)]

    async def look(self, bench: Bench) -> Finding:
        interval_s = self.interval_s if bench.hurry_s is None else round(bench.hurry_s)
        bench.interval_s = float(interval_s)
        return await _set(bench, self.name, str(interval_s))


class Trigger(Check, frozen=True, kw_only=True):
    """A message can be asked for, and comes. A BootNotification may be Rejected instead, as the errata want it of a
    charger that was accepted (OCPP 1.6 errata §3.35, §3.40): who asks for one all the same has nothing to fear of it.
    """

    message: TriggeredMessage
    connector: bool = False
    within_s: Within = 30.0

    async def look(self, bench: Bench) -> Finding:
        mark = await bench.mark()
        evse_id, connector_id = (1, 1) if self.connector else (None, None)
        request = TriggerMessage(requested_message=self.message, evse_id=evse_id, connector_id=connector_id)
        command = await bench.ask(request)
        if command.state is not CommandState.ACCEPTED:
            if self.message is TriggeredMessage.BOOT_NOTIFICATION and b'"Rejected"' in (command.answer or b""):
                says = "it is Rejected once the charger was accepted, as the errata of OCPP 1.6 want it (§3.35, §3.40)"
                return judged(True, says, evidence_of(command))
            return refused(command)
        words = _WITNESSES.get(self.message, (self.message.value,))
        frame = await bench.until(lambda: bench.heard(words, after=mark), self.within_s)
        if frame is None:
            return Finding(Outcome.FAILED, "it accepted, and nothing came", evidence_of(command))
        return judged(True, "it came", (*evidence_of(command), text_of(frame)))


class Status(Check, frozen=True, kw_only=True):
    """It tells one of these states."""

    any_of: Words
    first: str | None = None
    """What the person has to do, unless it has told so already."""
    within_s: Within = 60.0

    async def look(self, bench: Bench) -> Finding:
        frame = await bench.heard(self.any_of)
        if frame is None and self.within_s > 0:
            bench.prompt(self.first)
            within_s = self.within_s if self.first is None else HAND_S
            frame = await bench.until(lambda: bench.heard(self.any_of), within_s)
        if frame is None:
            return unseen(f"it never told {' or '.join(self.any_of)}")
        return judged(True, "it told so", (text_of(frame),))


class NotFromHere(Check, frozen=True, kw_only=True):
    """What can't be seen over OCPP."""

    async def look(self, bench: Bench) -> Finding:  # noqa: ARG002 - as all checks
        return Finding(Outcome.NOT_APPLICABLE, "can't be seen over OCPP: ask its maker")


CHECKS: Final[dict[str, type[Check]]] = {
    "subprotocol": Subprotocol,
    "encrypted": Encrypted,
    "tls_version": TlsVersion,
    "tls_cipher": TlsCipher,
    "authentication": Authentication,
    "boot_fields": BootFields,
    "clock": ClockRight,
    "variable": Variable,
    "sample_interval": SampleInterval,
    "trigger": Trigger,
    "status": Status,
    "remote_start": RemoteStart,
    "start_reading": StartReading,
    "stop_reading": StopReading,
    "measured": Measured,
    "measured_every": MeasuredEvery,
    "charging_profile": ChargingProfileObeyed,
    "suspended": Suspended,
    "remote_stop": RemoteStop,
    "not_from_here": NotFromHere,
}


# Inside


async def _set(bench: Bench, name: str, value: str) -> Finding:
    ref = variable_of(name)
    command = await bench.ask(SetVariables(settings=(VariableSetting(ref, value),)))
    if command.state is not CommandState.ACCEPTED:
        return refused(command)
    read = await bench.ask(GetVariables(refs=(ref,)))
    evidence = (*evidence_of(command), *evidence_of(read))
    reported = await bench.context.store.read(lambda books: books.stations.reported(bench.number))
    now = next((one.value for one in reported if one.ref == ref), None)
    if read.state is not CommandState.ACCEPTED or now is None:
        return judged(True, "it was accepted; what it is now can't be read", evidence)
    same = sorted(now.replace(" ", "").split(",")) == sorted(value.replace(" ", "").split(","))
    return judged(same, f"it was accepted, and is now {now}", evidence)
