"""Webhooks: signed, repeated, given up, sent again; and never where they must not go."""

import asyncio
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.csms.people_settings import PeopleSettings
from forecourt.net.beside import Beside
from forecourt.net.webhook_post import HttpPostman
from tests.api.houses import OPEN, House, house

HERE = PeopleSettings(
    webhook_plain=True,
    webhook_networks=("127.0.0.0/8",),
    webhook_interval_s=0.02,
    webhook_retries_s=(0.01, 0.01),
    webhook_timeout_s=5.0,
)
SETTINGS = msgspec.structs.replace(OPEN, people=HERE)


class Receiver:
    """An HTTP server of a few lines that remembers what came."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.statuses: list[int] = []
        """What to answer, one after the other; then 204."""
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.came.put_nowait((headers, body))
        status = self.statuses.pop(0) if self.statuses else 204
        location = "location: http://127.0.0.1:1/\r\n" if status == 302 else ""
        writer.write(f"HTTP/1.1 {status} x\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def next(self) -> tuple[dict[str, str], Any]:
        async with asyncio.timeout(10):
            headers, body = await self.came.get()
        return headers, json.loads(body)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://localhost:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield made


async def deliveries(house: House, webhook: Any, **filters: Any) -> list[Any]:
    found = await house.get(f"/webhooks/{webhook['id']}/deliveries", params=filters)
    return list(found["items"])


async def test_a_delivery_is_signed_and_carries_the_event(tmp_path: Path) -> None:
    async with house(tmp_path, csms_settings=SETTINGS) as made, receiver() as there:
        body = {"url": there.url, "event_types": ["station.booted"]}
        webhook = await made.ask("POST", "/webhooks", 201, json=body)
        secret = webhook.pop("secret")
        assert await made.get(f"/webhooks/{webhook['id']}") == webhook
        async with made.station("CS-1"):
            pass
        async with asyncio.timeout(10):
            headers, text = await there.came.get()
        event = json.loads(text)
        assert (event["type"], event["station_id"], headers["forecourt-event"]) == (
            "station.booted",
            "CS-1",
            "station.booted",
        )
        assert headers["forecourt-event-id"] == str(event["id"])
        stamp, _, given = headers["forecourt-signature"].partition(",v1=")
        expected = hmac.new(secret.encode(), stamp[2:].encode() + b"." + text, "sha256").hexdigest()
        assert hmac.compare_digest(given, expected)

        async def delivered() -> bool:
            return [one["state"] for one in await deliveries(made, webhook)] == ["delivered"]

        await made.eventually(delivered)
        assert there.came.empty()
        renewed = await made.ask("POST", f"/webhooks/{webhook['id']}/secret", 200)
        assert renewed["secret"] != secret


async def test_what_fails_is_tried_again_then_dead_and_can_be_sent_again(tmp_path: Path) -> None:
    async with house(tmp_path, csms_settings=SETTINGS) as made, receiver() as there:
        there.statuses = [500, 302, 404]
        body = {"url": there.url, "event_types": ["station.booted"]}
        webhook = await made.ask("POST", "/webhooks", 201, json=body)
        async with made.station("CS-1"):
            pass
        ids = {(await there.next())[1]["id"] for _ in range(3)}
        assert len(ids) == 1

        async def dead() -> bool:
            return bool(await deliveries(made, webhook, state="dead"))

        await made.eventually(dead)
        (one,) = await deliveries(made, webhook)
        assert (one["attempts"], one["last_status"], one["next_attempt_at"]) == (3, 404, None)
        await made.ask("POST", f"/webhooks/{webhook['id']}/deliveries/{one['number']}/resend", 200)
        assert (await there.next())[1]["id"] in ids


async def test_a_restart_neither_loses_nor_doubles_events(tmp_path: Path) -> None:
    async with receiver() as there:
        async with house(tmp_path, csms_settings=SETTINGS) as made:
            body = {"url": there.url, "event_types": ["station.booted"]}
            await made.ask("POST", "/webhooks", 201, json=body)
            async with made.station("CS-1"):
                assert (await there.next())[1]["station_id"] == "CS-1"
        slow = msgspec.structs.replace(SETTINGS, people=msgspec.structs.replace(HERE, webhook_interval_s=3600.0))
        async with house(tmp_path, csms_settings=slow) as made, made.station("CS-2"):
            pass
        async with house(tmp_path, csms_settings=SETTINGS) as made, made.station("CS-3"):
            assert {(await there.next())[1]["station_id"] for _ in range(2)} == {"CS-2", "CS-3"}
        assert there.came.empty()


async def test_two_processes_send_once(tmp_path: Path) -> None:
    async with house(tmp_path, csms_settings=SETTINGS) as made, receiver() as there:
        another = Beside(made.context)
        another.start()
        try:
            body = {"url": there.url, "event_types": ["station.booted"]}
            await made.ask("POST", "/webhooks", 201, json=body)
            for number in range(5):
                async with made.station(f"CS-{number}"):
                    pass
            came = [(await there.next())[1]["id"] for _ in range(5)]
            assert len(set(came)) == 5
        finally:
            await another.stop()
        assert there.came.empty()


async def test_what_a_webhook_cannot_be_is_refused(house: House) -> None:
    for url in ("http://example.org/", "ftp://x", "https://", "https://u:p@x/", "https://x:99999/", "https://x/#y"):
        await house.ask("POST", "/webhooks", 422, json={"url": url})
    for types in (["no.type"], ["ocpp.message"], []):
        await house.ask("POST", "/webhooks", 422, json={"url": "https://example.org/", "event_types": types})
    made = await house.ask("POST", "/webhooks", 201, json={"url": "https://example.org/", "note": "n"})
    changed = await house.ask("PATCH", f"/webhooks/{made['id']}", 200, json={"active": False, "note": None})
    assert (changed["active"], changed["note"], changed["url"]) == (False, None, made["url"])
    await house.ask("PATCH", f"/webhooks/{made['id']}", 422, json={"url": "http://x/"})
    await house.ask("DELETE", f"/webhooks/{made['id']}", 204)
    await house.get(f"/webhooks/{made['id']}/deliveries", 404)
    operator = await house.key("write")
    await house.get("/webhooks", 403, headers=operator)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_webhooks_go_to_no_address_that_is_not_public(address: str) -> None:
    postman = HttpPostman(PeopleSettings())
    assert not postman.may_go_to(ipaddress.ip_address(address))


def test_webhooks_go_to_public_addresses_and_to_networks_that_are_allowed() -> None:
    postman = HttpPostman(PeopleSettings(webhook_networks=("10.1.0.0/16", "fd00::/8")))
    for address in ("93.184.216.34", "2606:2800:220:1::1", "10.1.2.3", "fd00::1", "::ffff:10.1.2.3"):
        assert postman.may_go_to(ipaddress.ip_address(address)), address
    assert not postman.may_go_to(ipaddress.ip_address("10.2.0.1"))


async def test_a_name_that_leads_inside_is_not_followed() -> None:
    async with receiver() as there:
        postman = HttpPostman(msgspec.structs.replace(HERE, webhook_networks=()))
        postage = await postman.post(there.url, {}, b"{}")
        assert postage.status is None
        assert "no public address" in (postage.error or "")
        assert (await postman.post("http://no-such-host.invalid/", {}, b"{}")).error
        assert there.came.empty()
        await postman.close()
