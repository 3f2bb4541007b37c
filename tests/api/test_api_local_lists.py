"""Local lists: wished, sent by differences or as a whole, in parts, again after a mismatch; following the tokens."""

from pathlib import Path
from typing import Any

import msgspec

from tests.api.houses import OPEN, House, house

PATH = "/stations/CS1/local-list"


class Lists:
    """The local list of a station of OCPP 1.6, as the specification has it."""

    def __init__(self, most: int = 100) -> None:
        self.version = 0
        self.tags: dict[str, Any] = {}
        self.most = most
        self.sent: list[Any] = []
        self.status: str | None = None

    def answer(self, action: str, payload: Any) -> Any:
        if action == "GetLocalListVersion":
            return {"listVersion": self.version}
        if action == "GetConfiguration":
            return {"configurationKey": [{"key": "SendLocalListMaxLength", "readonly": True, "value": str(self.most)}]}
        if action != "SendLocalList":
            return {"status": "Accepted"}
        self.sent.append(payload)
        entries = payload.get("localAuthorizationList", [])
        assert len(entries) <= self.most
        if self.status is not None:
            return {"status": self.status}
        if payload["updateType"] == "Full":
            self.tags = {}
        elif payload["listVersion"] <= self.version:
            return {"status": "VersionMismatch"}
        for entry in entries:
            if "idTagInfo" in entry:
                self.tags[entry["idTag"]] = entry["idTagInfo"]["status"]
            else:
                del self.tags[entry["idTag"]]
        self.version = payload["listVersion"]
        return {"status": "Accepted"}


def entries(*values: str) -> dict[str, Any]:
    return {"entries": [{"value": value} for value in values]}


async def put(house: House, *values: str) -> Any:
    await house.ask("PUT", PATH, 200, json=entries(*values))
    return await house.ask("POST", f"{PATH}/synchronise", 200)


async def test_it_is_sent_whole_then_by_differences(house: House) -> None:
    lists = Lists()
    async with house.station("CS1", lists.answer):
        await house.get(PATH, 404)
        known = await put(house, "A", "B", "C", "D")
        assert (known["state"], known["version"], known["synchronised_revision"]) == ("synchronised", 1, 1)
        known = await put(house, "A", "B", "D", "E")
        assert (known["state"], known["reported_version"], known["revision"]) == ("synchronised", 2, 2)
        assert [sent["updateType"] for sent in lists.sent] == ["Full", "Differential"]
        assert [entry["idTag"] for entry in lists.sent[1]["localAuthorizationList"]] == ["E", "C"]
        assert set(lists.tags) == {"A", "B", "D", "E"}
        # Nothing new: nothing is sent.
        await put(house, "A", "B", "D", "E")
        assert len(lists.sent) == 2
        await put(house)
        assert lists.tags == {}
        versions = (await house.get(f"{PATH}/versions"))["items"]
        assert [version["version"] for version in versions] == [3, 2, 1]
        assert [entry["value"] for entry in versions[2]["entries"]] == ["A", "B", "C", "D"]


async def test_a_station_with_another_version_gets_the_whole(house: House) -> None:
    lists = Lists()
    async with house.station("CS1", lists.answer):
        await put(house, "A", "B", "C", "D")
        lists.version, lists.tags = 41, {"stray": "Accepted"}
        known = await put(house, "A", "B", "C", "D", "E")
        assert (known["state"], known["version"]) == ("synchronised", 42)
        assert lists.sent[-1]["updateType"] == "Full"
        assert "stray" not in lists.tags


async def test_after_a_mismatch_it_is_sent_as_a_whole(house: House) -> None:
    lists = Lists()

    def answer(action: str, payload: Any) -> Any:
        if action == "SendLocalList" and payload["updateType"] == "Differential":
            lists.sent.append(payload)
            return {"status": "VersionMismatch"}
        return lists.answer(action, payload)

    async with house.station("CS1", answer):
        await put(house, "A", "B", "C", "D")
        known = await put(house, "A", "B", "C", "D", "E")
        assert known["state"] == "synchronised"
        assert [sent["updateType"] for sent in lists.sent] == ["Full", "Differential", "Full"]


async def test_it_comes_in_parts_no_longer_than_the_station_takes(house: House) -> None:
    lists = Lists(most=2)
    async with house.station("CS1", lists.answer):
        ref = {"component": "LocalAuthListCtrlr", "variable": "ItemsPerMessage"}
        asked = {"station_id": "CS1", "refs": [ref]}
        await house.ask("POST", "/commands/GET_VARIABLES", 200, json=asked, headers={"prefer": "wait=5"})
        known = await put(house, "A", "B", "C", "D", "E")
        assert (known["state"], known["version"]) == ("synchronised", 3)
        assert [sent["updateType"] for sent in lists.sent] == ["Full", "Differential", "Differential"]
        assert set(lists.tags) == set("ABCDE")


async def test_what_the_station_says_against_it(house: House) -> None:
    lists = Lists()
    async with house.station("CS1", lists.answer):
        lists.status = "Failed"
        known = await put(house, "A")
        assert (known["state"], known["version"]) == ("failed", None)
        lists.status = "NotSupported"
        assert (await put(house, "A", "B"))["state"] == "not_supported"
        lists.status, lists.version = None, -1
        known = await house.ask("POST", f"{PATH}/synchronise", 200)
        assert (known["state"], known["reported_version"]) == ("not_supported", None)


async def test_it_follows_the_tokens(tmp_path: Path) -> None:
    lists = Lists()
    settings = msgspec.structs.replace(OPEN, sweep_interval_s=0.2)
    async with house(tmp_path, csms_settings=settings) as made, made.station("CS1", lists.answer):
        await made.ask("PUT", "/tokens/A", 200, json={})
        await made.ask("PUT", PATH, 200, json={"follows_tokens": True})

        async def has(tags: dict[str, str]) -> None:
            async def holds() -> bool:
                return lists.tags == tags and (await made.get(PATH))["state"] == "synchronised"

            await made.eventually(holds)

        await has({"A": "Accepted"})
        await made.ask("PUT", "/tokens/B", 200, json={"standing": "Blocked"})
        await has({"A": "Accepted", "B": "Blocked"})
        await made.ask("DELETE", "/tokens/A", 204)
        await has({"B": "Blocked"})


async def test_at_boot_a_lost_list_is_restored(house: House) -> None:
    lists = Lists()
    async with house.station("CS1", lists.answer):
        await put(house, "A", "B")
    lists.version, lists.tags = 0, {}
    async with house.station("CS1", lists.answer):

        async def restored() -> bool:
            return set(lists.tags) == {"A", "B"}

        await house.eventually(restored)
    assert lists.sent[-1]["updateType"] == "Full"


async def test_commands_and_refusals(house: House) -> None:
    lists = Lists()
    wait = {"prefer": "wait=5"}
    async with house.station("CS1", lists.answer):
        asked: dict[str, Any] = {"station_id": "CS1", **entries("A")}
        await house.ask("POST", "/commands/SEND_LOCAL_LIST", 200, json=asked, headers=wait)
        asked = {"station_id": "CS1", "update": "Differential", "entries": [{"value": "A", "status": None}]}
        asked["version"] = 9
        await house.ask("POST", "/commands/SEND_LOCAL_LIST", 200, json=asked, headers=wait)
        assert (lists.version, lists.tags) == (9, {})
        command = await house.ask(
            "POST", "/commands/GET_LOCAL_LIST_VERSION", 200, json={"station_id": "CS1"}, headers=wait
        )
        assert command["result"]["version"] == 9
        asked["update"] = "Full"
        await house.ask("POST", "/commands/SEND_LOCAL_LIST", 422, json=asked)
        problem = await house.ask("PUT", PATH, 422, json=entries("A", "a"))
        assert problem["errors"][0]["field"] == "entries"
        await house.ask("PUT", PATH, 422, json={"follows_tokens": True, "entries": []})
        await house.ask("PUT", PATH, 200, json=entries("A"))
        await house.ask("DELETE", PATH, 204)
        await house.get(PATH, 404)
