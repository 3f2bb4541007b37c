"""Checks of charging: begun and ended from here, measured, limited.

Guarantees
* A limit counts as obeyed when what the car draws afterwards was seen to be within it; accepted alone is not enough.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec

from forecourt.app.check_bench import Bench, evidence_of, text_of
from forecourt.app.check_findings import Check, Finding, Outcome, Within, Words, judged, refused, unseen
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.records import Direction, Reading, Transaction
from forecourt.domain.meter import Measurand
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    ProfileCriteria,
)
from forecourt.domain.requests import (
    ClearChargingProfile,
    RequestStartTransaction,
    RequestStopTransaction,
    SetChargingProfile,
)
from forecourt.domain.token import IdToken
from forecourt.quantities import NOMINAL_VOLTAGE_V

HAND_S: Final = 180.0
"""How long a person may take to plug in a car."""
_PROFILE_ID: Final = 4711
_SLACK: Final = 1.1


class RemoteStart(Check, frozen=True, kw_only=True):
    """Charging starts when it is asked to."""

    first: str | None = None
    within_s: Within = HAND_S

    async def look(self, bench: Bench) -> Finding:
        bench.prompt(self.first)
        request = RequestStartTransaction(id_token=IdToken(bench.token), evse_id=1)
        mark = await bench.mark()
        command: Command | None = None
        until_s = asyncio.get_running_loop().time() + self.within_s
        # Some chargers accept a remote start only once a car is there; so it is asked again.
        while command is None or (
            command.state is CommandState.REJECTED and asyncio.get_running_loop().time() < until_s
        ):
            command = await bench.ask(request)
            if command.state is CommandState.REJECTED:
                await asyncio.sleep(2.0)
        if command.state is not CommandState.ACCEPTED:
            return refused(command)
        begun = await bench.until(lambda: bench.transaction(active=True), self.within_s)
        if begun is None:
            return Finding(Outcome.FAILED, "it accepted, and no transaction began", evidence_of(command))
        bench.started_here = True
        frame = await bench.heard(("StartTransaction", "TransactionEvent"), after=mark)
        said = f"transaction {begun.transaction_id} began"
        return judged(True, said, (*evidence_of(command), *(() if frame is None else (text_of(frame),))))


class StartReading(Check, frozen=True, kw_only=True):
    """A transaction began with a reading of the register."""

    async def look(self, bench: Bench) -> Finding:
        transaction = await bench.transaction(active=False)
        if transaction is None:
            return unseen("there was no transaction")
        frame = await bench.heard(("StartTransaction", "TransactionEvent"))
        said = "without a reading" if transaction.meter_start_wh is None else f"at {transaction.meter_start_wh:g} Wh"
        return judged(transaction.meter_start_wh is not None, said, () if frame is None else (text_of(frame),))


class StopReading(Check, frozen=True, kw_only=True):
    """A transaction ended with a reading of the register."""

    async def look(self, bench: Bench) -> Finding:
        transaction = await bench.transaction(active=False)
        if transaction is None or transaction.ended_at is None:
            return unseen("no transaction has ended")
        frames = [
            one
            for one in await bench.frames(direction=Direction.IN)
            if b'"StopTransaction"' in one.frame or b'"TransactionEvent"' in one.frame
        ]
        said = "without a reading" if transaction.meter_stop_wh is None else f"at {transaction.meter_stop_wh:g} Wh"
        return judged(transaction.meter_stop_wh is not None, said, tuple(text_of(one) for one in frames[-1:]))


class Measured(Check, frozen=True, kw_only=True):
    """While it charges it reports these; one set of them is enough."""

    any_of: Annotated[tuple[tuple[Measurand, ...], ...], msgspec.Meta(min_length=1)]

    async def look(self, bench: Bench) -> Finding:
        transaction = await bench.charging()
        if transaction is None:
            return unseen("nothing charges")

        async def complete() -> tuple[Measurand, ...] | None:
            readings = await _sampled(bench, transaction)
            return next((wanted for wanted in self.any_of if any(_has(one, wanted) for one in readings)), None)

        wanted = await bench.until(complete, 2.5 * bench.interval_s + 10.0)
        frames = await _meter_frames(bench)
        if wanted is None:
            readings = await _sampled(bench, transaction)
            if not readings:
                return unseen("no meter values came")
            there = {sample.measurand for reading in readings for sample in reading.samples}
            said = f"there was only {', '.join(sorted(there))}"
            return Finding(Outcome.FAILED, said, frames[-1:])
        return judged(True, " and ".join(wanted), frames[-1:])


class MeasuredEvery(Check, frozen=True, kw_only=True):
    """Meter values come as often as was asked."""

    slack: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.5
    """Part of the interval by which it may be late or early."""

    async def look(self, bench: Bench) -> Finding:
        transaction = await bench.charging()
        if transaction is None:
            return unseen("nothing charges")

        async def moments() -> list[datetime]:
            # Of this connection: before a restart is no interval.
            since = None if bench.handshake is None else bench.handshake.at
            readings = await _sampled(bench, transaction)
            return sorted({reading.received_at for reading in readings if since is None or reading.received_at > since})

        async def gap() -> float | None:
            found = await moments()
            return (found[-1] - found[-2]).total_seconds() if len(found) >= 2 else None

        await bench.until(gap, 2.5 * bench.interval_s + 10.0)
        seen = await moments()
        last = seen[-1] if seen else None

        async def newer() -> float | None:
            found = await moments()
            return await gap() if found and (last is None or found[-1] > last) else None

        found_s = await bench.until(newer, 2.5 * bench.interval_s + 10.0)
        if found_s is None and bench.over:
            found_s = await gap()
        frames = (await _meter_frames(bench))[-2:]
        if found_s is None:
            return unseen("no two meter values came")
        fits = abs(found_s - bench.interval_s) <= max(bench.interval_s * self.slack, 1.5)
        return judged(fits, f"every {found_s:.0f} s; {bench.interval_s:g} s were set", frames)


class ChargingProfileObeyed(Check, frozen=True, kw_only=True):
    """It takes a charging profile of one of these purposes, in ampere or watts, and draws no more."""

    any_of: Annotated[tuple[ChargingProfilePurpose, ...], msgspec.Meta(min_length=1)]
    limit_a: Annotated[float, msgspec.Meta(ge=6, le=1000)] = 8.0

    async def look(self, bench: Bench) -> Finding:
        transaction = await bench.charging()
        if transaction is None:
            return unseen("nothing charges")
        evidence: list[str] = []
        words: list[str] = []
        best = Outcome.FAILED
        for purpose in self.any_of:
            for unit in (ChargingRateUnit.A, ChargingRateUnit.W):
                before_w = await _power_w(bench, transaction)
                command = await _limit(bench, transaction, purpose, unit, self.limit_a)
                evidence += evidence_of(command)
                if command.state is not CommandState.ACCEPTED:
                    words.append(f"{purpose} in {unit}: {command.state}")
                    continue
                obeyed, seen = await self._obeyed(bench, transaction, before_w, command.finished_at)
                evidence += seen
                await bench.tidy(ClearChargingProfile(criteria=ProfileCriteria(profile_id=_PROFILE_ID)))
                if obeyed is None:
                    words.append(f"{purpose} in {unit}: accepted; what the car then drew was not seen")
                    best = Outcome.NOT_SEEN
                elif not obeyed:
                    words.append(f"{purpose} in {unit}: accepted, and not obeyed")
                else:
                    words.append(f"{purpose} in {unit}: accepted and obeyed")
                    return judged(True, "; ".join(words), evidence)
                break
        return Finding(best, "; ".join(words), tuple(evidence))

    async def _obeyed(
        self, bench: Bench, transaction: Transaction, before_w: float | None, since: datetime | None
    ) -> tuple[bool | None, tuple[str, ...]]:
        one_phase_w, three_phases_w = (self.limit_a * NOMINAL_VOLTAGE_V * phases * _SLACK for phases in (1, 3))
        highest_w = three_phases_w if before_w is None else min(three_phases_w, max(before_w * 0.8, one_phase_w))

        async def low() -> bool | None:
            readings = [one for one in await bench.readings(transaction, since) if one.power_w is not None]
            return True if readings and (readings[-1].power_w or 0.0) <= highest_w else None

        found = await bench.until(low, 2.5 * bench.interval_s + 30.0)
        frames = (await _meter_frames(bench))[-1:]
        if found:
            return True, frames
        later = [one for one in await bench.readings(transaction, since) if one.power_w is not None]
        return (False if later else None), frames


class Suspended(Check, frozen=True, kw_only=True):
    """With a limit of nothing it tells that charging is suspended."""

    any_of: Words
    within_s: Within = 60.0

    async def look(self, bench: Bench) -> Finding:
        transaction = await bench.charging()
        if transaction is None:
            return unseen("nothing charges")
        mark = await bench.mark()
        for purpose in (ChargingProfilePurpose.TX, ChargingProfilePurpose.STATION_MAX):
            command = await _limit(bench, transaction, purpose, ChargingRateUnit.A, 0.0)
            if command.state is CommandState.ACCEPTED:
                break
        frame = await bench.until(lambda: bench.heard(self.any_of, after=mark), self.within_s)
        if command.state is CommandState.ACCEPTED:
            await bench.tidy(ClearChargingProfile(criteria=ProfileCriteria(profile_id=_PROFILE_ID)))
        elif frame is None:
            frame = await bench.heard(self.any_of)
        if frame is None:
            said = f"it never told {' or '.join(self.any_of)}"
            return Finding(Outcome.NOT_SEEN, said, evidence_of(command))
        return judged(True, "it told so", (*evidence_of(command), text_of(frame)))


class RemoteStop(Check, frozen=True, kw_only=True):
    """Charging ends when it is asked to."""

    within_s: Within = 60.0

    async def look(self, bench: Bench) -> Finding:
        transaction = await bench.charging()
        if transaction is None or transaction.transaction_id is None:
            return unseen("nothing charges")
        command = await bench.ask(RequestStopTransaction(transaction_id=transaction.transaction_id))
        bench.started_here = False
        if command.state is not CommandState.ACCEPTED:
            return refused(command)

        async def over() -> bool | None:
            return True if await bench.transaction(active=True) is None else None

        if await bench.until(over, self.within_s) is None:
            return Finding(Outcome.FAILED, "it accepted, and the transaction goes on", evidence_of(command))
        return judged(True, f"transaction {transaction.transaction_id} ended", evidence_of(command))


async def _limit(
    bench: Bench, transaction: Transaction, purpose: ChargingProfilePurpose, unit: ChargingRateUnit, limit_a: float
) -> Command:
    """For the transaction, or for the whole charger."""
    rate = limit_a if unit is ChargingRateUnit.A else limit_a * NOMINAL_VOLTAGE_V * 3
    schedule = ChargingSchedule(
        id=_PROFILE_ID,
        rate_unit=unit,
        start_schedule=(bench.context.clock.now().at - timedelta(seconds=60)).replace(microsecond=0),
        periods=(ChargingSchedulePeriod(0, rate),),
    )
    own = purpose is ChargingProfilePurpose.TX
    profile = ChargingProfile(
        id=_PROFILE_ID,
        stack_level=0,
        purpose=purpose,
        kind=ChargingProfileKind.ABSOLUTE,
        schedules=(schedule,),
        transaction_id=transaction.transaction_id if own else None,
    )
    whole = purpose is ChargingProfilePurpose.STATION_MAX
    return await bench.ask(SetChargingProfile(evse_id=0 if whole else transaction.evse_id or 1, profile=profile))


async def _sampled(bench: Bench, transaction: Transaction) -> list[Reading]:
    """What came in between its start and its end."""
    return [one for one in await bench.readings(transaction) if any(s.context.value.startswith("Sample")
            or s.context.value == "Trigger" for s in one.samples)]  # fmt: skip


def _has(reading: Reading, wanted: tuple[Measurand, ...]) -> bool:
    there = {sample.measurand for sample in reading.samples}
    return there.issuperset(wanted)


async def _meter_frames(bench: Bench) -> tuple[str, ...]:
    frames = await bench.frames(direction=Direction.IN)
    return tuple(text_of(one) for one in frames if b'"MeterValues"' in one.frame or b'"meterValue"' in one.frame)


async def _power_w(bench: Bench, transaction: Transaction) -> float | None:
    found = [one.power_w for one in await bench.readings(transaction) if one.power_w is not None]
    return found[-1] if found else None
