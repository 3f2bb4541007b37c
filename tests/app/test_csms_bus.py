"""`[bus]` of a CSMS's configuration: what can't be, is named before anything is started."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.bus.buses import Log

from forecourt.app.config import ConfigError
from forecourt.app.csms import CsmsFile, running_csms
from forecourt.app.csms_bus import BusFile, join, made_bus, new_process_id
from forecourt.bus.in_process import InProcessBus
from forecourt.bus.nats import NatsBus
from forecourt.csms.measures import BusMeasures
from forecourt.csms.settings import CsmsSettings

NATS = "nats://127.0.0.1:1"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": "http://nats"}, "url: an address such as nats://127.0.0.1:4222 expected"),
        ({"url": ["nats://one", "two"]}, "url: an address"),
        ({"url": NATS, "prefix": ""}, "prefix: must have"),
        ({"url": NATS, "prefix": "a.*"}, "prefix: must have"),
        ({"url": NATS, "beat_interval_s": 0}, "beat_interval_s: must be more than 0"),
        ({"url": NATS, "beat_interval_s": 2, "dead_after_s": 5}, "dead_after_s: must be at least three times"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=problem):
        msgspec.convert(fields, BusFile)


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (CsmsFile(database="sqlite://", bus=BusFile(url=NATS)), "database: several processes"),
        (
            CsmsFile(
                database="postgresql://nobody@127.0.0.1:1/none",
                bus=BusFile(url=NATS),
                csms=CsmsSettings(unlogged_events=("station.connected",)),
            ),
            r"csms\.unlogged_events: station\.connected has to be logged",
        ),
    ],
)
async def test_what_cannot_be_together_is_refused_by_name(file: CsmsFile, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        async with running_csms(file):
            pass


async def test_roots_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    settings = BusFile(url="tls://127.0.0.1:1", ca=Path("ca.pem")).beside(tmp_path)
    log = Log()
    bus = made_bus(settings, log.read, log.newest, BusMeasures())
    assert isinstance(bus, NatsBus)
    with pytest.raises(ConfigError, match=r"bus\.ca: .*ca\.pem holds no certificates"):
        await join(settings, bus, new_process_id())


def test_without_an_address_there_is_one_process() -> None:
    log = Log()
    assert isinstance(made_bus(BusFile(), log.read, log.newest, BusMeasures()), InProcessBus)
