"""Cut the power at every point of a signed update, an upload, and what happens around them.

The firmware is installed once, every state is told in its order, every critical security event arrives, and the
connectors are back in the end. One whose answer was lost may be told twice, unchanged.
"""

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateUse
from forecourt.domain.clock import Now
from forecourt.domain.events import SecurityEventReported
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.store.journal import MemoryJournal
from tests.hardware.made_authority import MadeAuthority
from tests.station.bench import START
from tests.station.test_firmware import SIGNED
from tests.station.test_power_cut import PowerCutError
from tests.station.upkeep_bench import UpkeepBench

STATES = [
    "Downloading",
    "Downloaded",
    "SignatureVerified",
    "InstallScheduled",
    "Installing",
    "InstallRebooting",
    "Installed",
]


class FragileUpkeep(UpkeepBench):
    """Its power goes at effect number `cut_at`; with `answer_lost`, right after the CSMS took a call in."""

    def __init__(self, *args: Any, cut_at: int = -1, answer_lost: bool = False, **options: Any) -> None:
        self.cut_at = -1
        self.answer_lost = answer_lost
        self.count = 0
        super().__init__(*args, **options)
        self.cut_at, self.count = cut_at, 0

    def _perform(self, effect: e.Effect) -> list[e.Effect]:
        number, self.count = self.count, self.count + 1
        if number == self.cut_at:
            if self.answer_lost and isinstance(effect, e.Send):
                self.csms.answer(effect.call, self.now)
            raise PowerCutError
        return super()._perform(effect)


class Told:
    """What the CSMS was answered, and what the station has noticed."""

    def __init__(self) -> None:
        self.update = False
        self.upload = False
        self.noticed = 0


def story(bench: FragileUpkeep, maker: MadeAuthority, told: Told) -> None:
    bench.trusts(maker, CertificateUse.MANUFACTURER_ROOT)
    bench.charging(1)
    signer = maker.issue("Signer")
    request = r.UpdateFirmware(
        location="http://x/fw",
        retrieve_at=START,
        request_id=7,
        signing_certificate=signer.pem,
        signature=signer.sign(b""),
    )
    assert bench.ask(request).outcome == "Accepted"
    told.update = True
    bench.run(3)
    bench.disconnect()
    bench.tell(i.SecurityEventNoticed("TamperDetectionActivated", "tampered"))
    told.noticed += 1
    bench.run(7)
    bench.connect()
    assert bench.ask(r.GetLog(location="http://x/", request_id=8)).outcome == "Accepted"
    told.upload = True
    bench.run(5)
    bench.unplug(1)
    bench.run(10)


def begun(folder: Path, cut_at: int = -1, answer_lost: bool = False) -> FragileUpkeep:
    bench = FragileUpkeep(SIGNED, folder=folder, cut_at=-1, answer_lost=answer_lost)
    bench.connect()
    bench.cut_at, bench.count = cut_at, 0
    return bench


def restarted(bench: UpkeepBench, folder: Path) -> FragileUpkeep:
    bench.system.restart()
    return FragileUpkeep(
        SIGNED,
        folder=folder,
        system=bench.system,
        csms=bench.csms,
        journal=MemoryJournal(bench.journal.load()),
        now=Now(10.0, 20.0, bench.now.at),
        first_id=100,
    )


@pytest.mark.parametrize("answer_lost", [False, True])
def test_every_point_of_the_story(tmp_path: Path, answer_lost: bool) -> None:
    maker = MadeAuthority("Maker")
    whole = begun(tmp_path / "whole")
    story(whole, maker, Told())
    points = whole.count
    assert points > 50
    for point in range(points):
        folder = tmp_path / str(point)
        told = Told()
        bench = begun(folder, point, answer_lost)
        with pytest.raises(PowerCutError):
            story(bench, maker, told)
        again: FragileUpkeep = bench
        for _ in range(3):
            again = restarted(again, folder)
            again.plug(1)
            again.unplug(1)
            again.connect()
            again.run(120)
            if not again.took(e.Reboot):
                break
        look(again, told)


def look(again: FragileUpkeep, told: Told) -> None:
    states = [state for state, _ in groupby(again.firmware())]
    assert len(set(states)) == len(states), "told in order, once each"
    assert states == [state for state in STATES if state in states]
    if told.update:
        assert {*STATES} - {*states} <= {"InstallScheduled", "InstallRebooting"}, "L01: those may be omitted"
    assert states[-1:] in ([], ["Installed"])
    uploads = [state for state, _ in groupby(again.uploads())]
    assert uploads in ([], ["Uploading", "Uploaded"])
    assert uploads or not told.upload
    tampered = [event for event in again.csms.told(SecurityEventReported) if event.tech_info == "tampered"]
    assert len(set(tampered)) == 1 if told.noticed else len(set(tampered)) <= 1
    state = again.journal.load()
    assert not {"firmware", "log_upload", "report"} & state.keys()
    assert again.states(1)[-1] == "Available"
    assert again.station.parts.evses[1].operative
