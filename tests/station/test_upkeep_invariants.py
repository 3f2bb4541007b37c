"""Whatever a CSMS asks and a system answers about firmware and logs, the station stays whole."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.domain import requests as r
from forecourt.domain.events import FirmwareStatusReported
from forecourt.domain.firmware import LogType, LogUploadStatus
from forecourt.domain.requests import TriggeredMessage
from forecourt.domain.station import OperationalStatus, ResetType
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.inputs import FirmwareStep
from tests.station.bench import ONE, START, TWO
from tests.station.upkeep_bench import UpkeepBench

NUMBERS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3)
TIMES = st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]) | st.integers(
    -100, 200
).map(lambda seconds: START + timedelta(seconds=seconds))
UPDATES = st.builds(
    r.UpdateFirmware,
    location=st.text(max_size=5),
    retrieve_at=TIMES,
    request_id=NUMBERS,
    install_at=st.none() | TIMES,
    retries=NUMBERS,
    retry_interval_s=NUMBERS,
)
LOGS = st.builds(
    r.GetLog,
    log_type=st.sampled_from(LogType),
    location=st.text(max_size=5),
    request_id=NUMBERS,
    oldest_at=st.none() | TIMES,
    latest_at=st.none() | TIMES,
    retries=NUMBERS,
    retry_interval_s=NUMBERS,
)
TRIGGERS = st.builds(r.TriggerMessage, requested_message=st.sampled_from(TriggeredMessage), extended=st.booleans())
OTHERS: st.SearchStrategy[Any] = st.sampled_from(
    [
        r.ChangeAvailability(evse_id=0, operational_status=OperationalStatus.OPERATIVE),
        r.ChangeAvailability(evse_id=1, operational_status=OperationalStatus.INOPERATIVE),
        r.Reset(reset_type=ResetType.IMMEDIATE),
    ]
)
REQUESTS: st.SearchStrategy[Any] = UPDATES | LOGS | TRIGGERS | OTHERS
ACTS = st.lists(
    REQUESTS
    | st.sampled_from(FirmwareStep)
    | st.sampled_from(LogUploadStatus)
    | st.sampled_from(["link", "car", "restart"])
    | st.integers(0, 100),
    max_size=12,
)


def job_of(bench: UpkeepBench, kind: type[Any]) -> int:
    asked = [effect.job_id for effect in bench.system.asked if isinstance(effect, kind)]
    return asked[-1] if asked else 1


@settings(max_examples=80, deadline=None)
@given(acts=ACTS, capabilities=st.sampled_from([ONE, TWO]))
def test_nothing_raises_and_evses_are_out_only_while_an_update_needs_them(acts: list[Any], capabilities: Any) -> None:
    bench = UpkeepBench(capabilities)
    bench.connect()
    for act in acts:
        if isinstance(act, FirmwareStep):
            bench.tell(i.FirmwareProgress(job_of(bench, e.DownloadFirmware), act))
        elif isinstance(act, LogUploadStatus):
            bench.tell(i.UploadProgress(job_of(bench, e.UploadLog), act))
        elif act == "link":
            bench.disconnect() if bench.link else bench.connect()
        elif act == "car":
            bench.unplug(1) if bench.station.parts.evses[1].car_connected else bench.plug(1)
        elif act == "restart":
            bench = bench.reborn(capabilities=capabilities)
            bench.connect()
        elif isinstance(act, int):
            bench.run(act)
        else:
            bench.ask(act)
        kept = bench.journal.load().get("firmware", {})
        out = {evse.out_for_update for evse in bench.station.parts.evses.values()}
        stage = json.loads(kept["job"])["stage"] if "job" in kept else None
        assert out == {stage in {"waits for idle", "installing", "rebooting"}}
    if not bench.link:
        bench.connect()
    ends = [told for told in bench.csms.told(FirmwareStatusReported) if told.firmware_status.is_final]
    assert len(ends) <= sum(isinstance(act, r.UpdateFirmware) for act in acts)
