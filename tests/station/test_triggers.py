"""TriggerMessage says what will follow, and it follows."""

from datetime import timedelta

import msgspec
import pytest

from forecourt.domain import requests as r
from forecourt.domain.events import (
    ChargingStateReported,
    ConnectorStatusReported,
    FirmwareStatusReported,
    MeterSampled,
)
from forecourt.domain.firmware import FirmwareStatus
from forecourt.domain.meter import SampledValue
from forecourt.domain.requests import TriggeredMessage
from forecourt.domain.station import RegistrationStatus
from forecourt.station import inputs as i
from forecourt.station.inputs import FirmwareStep
from tests.station.bench import ONE, Bench

EXTENDED = msgspec.structs.replace(ONE, security_extension=True, plain_jobs_without_id=True)


def trigger(bench: Bench, message: TriggeredMessage | None, evse_id: int | None = None) -> str:
    return str(bench.ask(r.TriggerMessage(requested_message=message, evse_id=evse_id)).outcome)


def test_5_17_a_message_without_a_word_is_not_implemented() -> None:
    bench = Bench()
    bench.connect()
    assert trigger(bench, None) == "NotImplemented"


def test_5_17_meter_values_are_accepted_only_where_there_is_a_meter() -> None:
    bench = Bench()
    bench.connect()
    bench.ask(r.ClearCache())  # by then the meters have been read
    bench.csms.calls.clear()
    assert trigger(bench, TriggeredMessage.METER_VALUES, 0) == "Rejected", "there is no main meter"
    assert not bench.csms.told(MeterSampled)
    bench.tell(i.MeterReading(0, (SampledValue(70_000.0),)))
    assert trigger(bench, TriggeredMessage.METER_VALUES, 0) == "Accepted"
    assert [told.evse_id for told in bench.csms.told(MeterSampled)] == [0]
    assert trigger(bench, TriggeredMessage.METER_VALUES) == "Accepted"
    assert [told.evse_id for told in bench.csms.told(MeterSampled)] == [0, 0, 1, 2]


def test_what_a_trigger_has_told_is_not_told_twice_at_the_acceptance() -> None:
    bench = Bench()
    bench.csms.registration = RegistrationStatus.PENDING
    bench.connect()
    assert trigger(bench, TriggeredMessage.STATUS_NOTIFICATION) == "Accepted"
    bench.plug(1)
    bench.csms.calls.clear()
    bench.csms.registration = RegistrationStatus.ACCEPTED
    assert trigger(bench, TriggeredMessage.BOOT_NOTIFICATION) == "Accepted"
    told = [
        event.evse_id
        for call in bench.csms.calls
        for event in getattr(call, "events", ())
        if isinstance(event, ConnectorStatusReported | ChargingStateReported)
    ]
    assert sorted(told, key=str) == [0, 1, 2]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], FirmwareStatus.DOWNLOADING),
        ([FirmwareStep.DOWNLOAD_PAUSED], FirmwareStatus.DOWNLOADING),
        ([FirmwareStep.DOWNLOADED], FirmwareStatus.DOWNLOADED),
    ],
)
def test_5_17_the_state_of_an_update_is_told_in_the_words_there_are(
    steps: list[FirmwareStep], said: FirmwareStatus
) -> None:
    """Also where the last state was one that only the security extension has words for (OCPP 1.6 §7.25)."""
    bench = Bench(capabilities=EXTENDED, has_system=True, unsigned_firmware=True, has_security=True)
    bench.charging()
    bench.ask(r.UpdateFirmware(location="http://x/fw", retrieve_at=bench.now.at))
    for step in steps:
        job = bench.station.parts.firmware
        assert job._job is not None
        bench.tell(i.FirmwareProgress(job._job.job_id, step))
    bench.csms.calls.clear()
    assert trigger(bench, TriggeredMessage.FIRMWARE_STATUS_NOTIFICATION) == "Accepted"
    assert [told.firmware_status for told in bench.csms.told(FirmwareStatusReported)] == [said]


def test_5_17_an_update_that_waits_for_its_date_is_idle() -> None:
    bench = Bench(capabilities=EXTENDED, has_system=True, unsigned_firmware=True, has_security=True)
    bench.connect()
    bench.ask(r.UpdateFirmware(location="http://x/fw", retrieve_at=bench.now.at + timedelta(hours=1)))
    bench.csms.calls.clear()
    assert trigger(bench, TriggeredMessage.FIRMWARE_STATUS_NOTIFICATION) == "Accepted"
    assert [told.firmware_status for told in bench.csms.told(FirmwareStatusReported)] == [FirmwareStatus.IDLE]
