"""`forecourt controller commission` asks a running controller, which asks a station that is not ours."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import ocpp.v16.call
import pytest
from tests.api.test_site_api import a_house
from tests.net.central_v16 import office
from tests.net.peers import until
from tests.net.test_controller_session import station
from typer.testing import CliRunner, Result

from forecourt.app.commission import told
from forecourt.app.main import app
from forecourt.controller.capability import Capability
from forecourt.controller.wording import Form
from forecourt.domain.profile import ChargingProfilePurpose, ChargingRateUnit

HOUSE = """
[site.grid]
name = "house"
rating_a = 35
[[site.evses]]
station_id = "CP1"
rotation = "L1 L2 L3"
maximum_a = 16
[controller]
settle_s = 0.5
decide_interval_s = 0.05
[admin]
port = 0
"""


async def commission(*arguments: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["controller", "commission", *arguments]))


async def test_it_shows_what_was_found(tmp_path: Path) -> None:
    async with (
        office() as central,
        a_house(tmp_path, HOUSE, upstream=f"ws://127.0.0.1:{central.port}") as house,
        station(house.server.port) as charger,
    ):
        who = ["--url", house.url, "--token", house.token]
        assert (await charger.call(ocpp.v16.call.BootNotification("M1", "V"))).status == "Accepted"
        (line,) = house.server.endpoint.controller.lines.values()
        await until(lambda: line.account.base is not None and line.open_token is None)
        result = await commission("CP1", *who)
        assert result.exit_code == 0, result.output
        assert "TxDefaultProfile in A, TxDefaultProfile in W, ChargingStationMaxProfile in A" in result.output
        assert "limits outlive a restart    not seen" in result.output
        view = json.loads((await commission("CP1", "--json", *who)).stdout)
        assert (view["running"], view["failed"]) == (False, None)
        assert view["capability"]["takes_zero"] is True
        changes = (await house.ask("GET", "/changes"))["items"]
        assert [(one["who"], one["what"]) for one in changes] == [("Ada", "CP1 is commissioned")] * 2
        stranger = await commission("nobody", *who)
        assert (stranger.exit_code, "nobody" in stranger.stderr) == (1, True)


async def test_a_controller_that_is_not_there_and_a_token_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORECOURT_SITE_TOKEN", raising=False)
    assert (await commission("CP1")).exit_code == 2
    gone = await commission("CP1", "--url", "http://127.0.0.1:1", "--token", "x")
    assert gone.exit_code == 3
    assert "127.0.0.1:1" in gone.stderr


def test_a_person_is_told_everything_in_words() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    known = Capability(
        at=now,
        station_id="CP1",
        forms=(Form(ChargingProfilePurpose.TX_DEFAULT, ChargingRateUnit.W),),
        obeys=True,
        reaction_s=3.5,
        over_a=0.4,
        dead_man=False,
        survives_reboot=True,
    )
    lines = dict(line.split("  ", 1) for line in told(known))
    found = {name: value.strip() for name, value in lines.items()}
    assert found["obeys a lower limit"] == "within 3.5 s"
    assert found["then draws at most"] == "0.4 A above it"
    assert found["obeys the end of a lease"] == "no"
    assert found["limits outlive a restart"] == "yes"
    assert found["0 A"] == "not seen"
