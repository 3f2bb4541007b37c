"""Several processes of one CSMS that start together on an empty database, as a compose file starts them."""

import asyncio
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from forecourt.app.config import load
from forecourt.app.csms import CsmsFile, running_csms
from forecourt.csms import access, people
from tests import databases
from tests.bus import buses
from tests.end_to_end.processes import role

CONFIGURATION = """
[csms]
drain_notice_s = 0.0
drain_s = 0.1
[bus]
url = "{nats}"
prefix = "{prefix}"
[ocpp]
port = 0
[api]
port = 0
"""
SEVERAL = 3


def configured(folder: Path) -> Path:
    path = folder / "csms.toml"
    path.write_text(CONFIGURATION.format(nats=buses.server(), prefix=f"first-{uuid.uuid4().hex}"), encoding="utf-8")
    return path


async def test_all_of_them_start_and_one_says_how_to_get_in(tmp_path: Path) -> None:
    url, configuration = databases.empty(tmp_path / "x.db"), configured(tmp_path)
    async with AsyncExitStack() as stack:
        command = ("csms", "--config", configuration, "--database", url)
        running = [await stack.enter_async_context(role(*command)) for _ in range(SEVERAL)]
        for one in running:
            await one.says("API at http")
        ended = [await one.stop() for one in running]
        said = [line for one in running for line in one.lines]
    assert ended == [0] * SEVERAL, said
    assert len([line for line in said if "API key, shown this once" in line]) == 1, said
    assert len([line for line in said if "sign in as admin" in line]) == 1, said


async def test_the_first_key_and_the_first_administrator_are_made_once(tmp_path: Path) -> None:
    settings = load(configured(tmp_path), CsmsFile)
    url = databases.url(tmp_path / "books.db", "postgresql")
    async with AsyncExitStack() as stack:
        contexts = [
            (await stack.enter_async_context(running_csms(msgspec.structs.replace(settings, database=url)))).context
            for _ in range(SEVERAL)
        ]
        keys = await asyncio.gather(*map(access.first_api_key, contexts))
        passwords = await asyncio.gather(*map(people.first_administrator, contexts))
        assert [sum(one is not None for one in made) for made in (keys, passwords)] == [1, 1]
        (text,) = [key for key in keys if key is not None]
        key = await access.verify_api_key(contexts[0], text)
        assert key is not None
        assert set(key.scopes) == {"admin", "write", "read"}
        assert await access.first_api_key(contexts[0]) is None
