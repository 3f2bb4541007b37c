"""docs/api.md is true: its examples run, its configurations load, and what it says of retries is what is set."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from forecourt.app.config import parse
from forecourt.app.csms import CsmsFile
from forecourt.csms.people_settings import PeopleSettings
from forecourt.csms.webhooks import signature
from tests.api.houses import House
from tests.client.test_client import key_of

DOCS = Path(__file__).parents[2] / "docs"


def blocks(kind: str, page: str = "api.md") -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_verifies_signatures() -> None:
    (code,) = [block for block in blocks("python") if block.startswith("# verify.py")]
    names: dict[str, Any] = {}
    exec(code, names)
    now = int(names["time"].time())
    body = b'{"id":1}'
    genuine = names["is_genuine"]
    assert genuine("s", signature("s", now, body), body)
    assert not genuine("t", signature("s", now, body), body)
    assert not genuine("s", signature("s", now, body), body + b" ")
    assert not genuine("s", signature("s", now - 1000, body), body)


async def test_the_page_s_client_runs(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    codes = [block for block in blocks("python") if block.startswith(("# client.py", "# nouns.py"))]
    assert len(codes) == 2

    def run() -> None:
        for code in codes:
            exec(code, {"URL": house.url, "KEY": key_of(house)})

    async with house.station("CS-1") as station:
        await station.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
        await asyncio.to_thread(run)
    said = capsys.readouterr().out.splitlines()
    assert said == ["CS-1 accepted", "there is no station 'no such'", "CS-1 unplugged"]


@pytest.mark.parametrize("page", ["api.md", "resources.md", "money.md", "operations.md"])
def test_the_pages_configurations_load(page: str) -> None:
    loaded = [
        parse(text, CsmsFile, source=page) for text in blocks("toml", page) if not text.startswith("# pyproject.toml")
    ]
    assert loaded


def test_the_page_names_what_is_set() -> None:
    settings = PeopleSettings()
    assert list(settings.webhook_retries_s) == [5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600, 24 * 3600]
    assert settings.webhook_timeout_s == 10
    assert [settings.sign_in_idle_s, settings.sign_in_s] == [12 * 3600, 14 * 86_400]
    assert settings.shortest_user_password == 12
    assert [settings.failed_sign_ins_per_name, settings.failed_sign_ins_per_address] == [10, 50]
    assert settings.one_time_password_s == 7 * 86_400
