"""Firmware and log jobs, with the files of both: fetched and left at addresses by whoever has them, once, in bounds."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec

from forecourt.csms.resource_settings import ResourceSettings
from tests.api.houses import OPEN, House, Station, house

WAIT = {"prefer": "wait=5"}
IMAGE = bytes(range(256)) * 5000
"""More than a body may be elsewhere."""


async def told(station: Station, action: str) -> Any:
    """The payload of the next call, which is `action`."""
    frame = msgspec.json.decode(await station.frames.get())
    assert frame[2] == action
    return frame[3]


async def upload(house: House, content: bytes = IMAGE, status: int = 201, **query: str) -> Any:
    return await house.ask("POST", "/firmware-images", status, content=content, params={"name": "fw-2.bin", **query})


async def outside(method: str, url: str, **options: Any) -> httpx.Response:
    """Without any key."""
    async with httpx.AsyncClient() as client:
        return await client.request(method, url, **options)


async def test_an_image_is_kept_fetched_and_installed(house: House) -> None:
    digest = hashlib.sha256(IMAGE).hexdigest()
    image = await upload(house, sha256=digest)
    assert (image["size"], image["sha256"], image["name"]) == (len(IMAGE), digest, "fw-2.bin")
    async with house.station("CS1", lambda _action, _payload: {}) as station:
        job = await house.ask("POST", "/firmware-jobs", 201, json={"station_id": "CS1", "file_number": image["number"]})
        path = f"/firmware-jobs/{job['number']}"
        asked = await told(station, "UpdateFirmware")
        fetched = await outside("GET", asked["location"])
        assert fetched.content == IMAGE
        rest = await outside("GET", asked["location"], headers={"range": "bytes=700000-"})
        assert (rest.status_code, rest.content) == (206, IMAGE[700000:])
        assert (await outside("HEAD", asked["location"])).headers["content-length"] == str(len(IMAGE))
        assert (await outside("PUT", asked["location"], content=b"x")).status_code == 404

        for status in ("Downloading", "Downloaded", "Installing"):
            await station.call("FirmwareStatusNotification", {"status": status})
            now = await house.get(path)
            assert (now["state"], now["firmware_status"]) == ("running", status)
        await house.ask("DELETE", f"/firmware-images/{image['number']}", 409)
        await station.call("FirmwareStatusNotification", {"status": "Installed"})
        now = await house.get(path)
        assert (now["state"], now["attempts"]) == ("done", 1)
        words = [step["what"] for step in now["history"]]
        assert words == ["asked", "Accepted", "Downloading", "Downloaded", "Installing", "Installed"]
        # It is over: so is the address.
        assert (await outside("GET", asked["location"])).status_code == 404
        await house.ask("DELETE", f"/firmware-images/{image['number']}", 204)
        await house.ask("POST", f"{path}/cancel", 409)


async def test_a_signed_update_names_its_request(house: House) -> None:
    image = await upload(house)
    await house.ask("PUT", f"/firmware-images/{image['number']}", 422, json={"signature": "c2ln"})
    described = {"signature": "c2ln", "signing_certificate": "-----BEGIN CERTIFICATE-----"}
    await house.ask("PUT", f"/firmware-images/{image['number']}", 200, json=described)
    async with house.station("CS1") as station:
        body = {"station_id": "CS1", "file_number": image["number"], "install_at": "2030-01-01T00:00:00Z"}
        job = await house.ask("POST", "/firmware-jobs", 201, json=body)
        asked = await told(station, "SignedUpdateFirmware")
        assert asked["firmware"]["signature"] == "c2ln"
        assert asked["requestId"] == job["request_id"]
        notice = {"status": "InvalidSignature", "requestId": job["request_id"] + 1}
        await station.call("SignedFirmwareStatusNotification", notice)
        path = f"/firmware-jobs/{job['number']}"
        assert (await house.get(path))["firmware_status"] is None
        await station.call("SignedFirmwareStatusNotification", {**notice, "requestId": job["request_id"]})
        assert (await house.get(path))["state"] == "failed"


async def test_it_waits_for_its_station_tries_again_and_is_cancelled(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, sweep_interval_s=0.2)
    async with house(tmp_path, csms_settings=settings) as made:
        await made.ask("POST", "/stations", 201, json={"id": "CS1"})
        body = {"station_id": "CS1", "location": "ftp://a/b", "most_attempts": 2, "retry_interval_s": 0}
        job = await made.ask("POST", "/firmware-jobs", 201, json=body)
        assert (job["state"], job["attempts"]) == ("waiting", 0)
        async with made.station("CS1", lambda _action, _payload: {}) as station:
            assert (await told(station, "UpdateFirmware"))["location"] == "ftp://a/b"
            await station.call("FirmwareStatusNotification", {"status": "DownloadFailed"})
            await told(station, "UpdateFirmware")
            for status in ("Downloading", "DownloadFailed"):
                await station.call("FirmwareStatusNotification", {"status": status})
            now = await made.get(f"/firmware-jobs/{job['number']}")
            assert (now["state"], now["attempts"]) == ("failed", 2)
            late = (datetime.now(UTC) + timedelta(seconds=0.4)).isoformat()
            second = await made.ask("POST", "/firmware-jobs", 201, json={**body, "deadline_at": late})
            third = await made.ask("POST", "/firmware-jobs", 201, json=body)
            cancelled = await made.ask("POST", f"/firmware-jobs/{third['number']}/cancel", 200)
            assert cancelled["state"] == "cancelled"

            async def timed_out() -> bool:
                return bool((await made.get(f"/firmware-jobs/{second['number']}"))["state"] == "timed_out")

            await made.eventually(timed_out)
        listed = await made.get("/firmware-jobs?station_id=CS1&state=failed")
        assert [entry["number"] for entry in listed["items"]] == [job["number"]]


async def test_a_log_is_left_once_and_read(house: House, tmp_path: Path) -> None:
    async with house.station("CS1", lambda _action, _payload: {"fileName": "diag.zip"}) as station:
        job = await house.ask("POST", "/log-jobs", 201, json={"station_id": "CS1"})
        path = f"/log-jobs/{job['number']}"
        asked = await told(station, "GetDiagnostics")
        await station.call("DiagnosticsStatusNotification", {"status": "Uploading"})
        await house.get(f"{path}/file", 404)
        await house.ask("DELETE", path, 409)
        assert (await outside("GET", asked["location"])).status_code == 404
        assert (await outside("PUT", f"{asked['location']}/diag.zip", content=b"the log")).status_code == 201
        assert (await outside("PUT", f"{asked['location']}/diag.zip", content=b"another")).status_code == 404
        await station.call("DiagnosticsStatusNotification", {"status": "Uploaded"})
        now = await house.get(path)
        assert (now["state"], now["filename"], now["upload_status"]) == ("done", "diag.zip", "Uploaded")
        read = await house.client.get(f"/api/v1{path}/file")
        assert (read.content, read.headers["content-disposition"]) == (b"the log", 'attachment; filename="diag.zip"')
        assert (await outside("GET", f"{house.url}/api/v1{path}/file")).status_code == 401
        await house.ask("DELETE", path, 204)
        await house.get(path, 404)
        assert list((tmp_path / "files").iterdir()) == []


async def test_a_security_log_too_large_and_refused(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, resources=ResourceSettings(largest_log=1000))
    async with house(tmp_path, csms_settings=settings) as made:
        answer: dict[str, Any] = {"status": "Accepted", "filename": "s.log"}
        async with made.station("CS1", lambda _action, _payload: answer) as station:
            body = {"station_id": "CS1", "log_type": "SecurityLog"}
            first = await made.ask("POST", "/log-jobs", 201, json=body)
            asked = await told(station, "GetLog")
            url = asked["log"]["remoteLocation"]
            assert (await outside("POST", f"{url}/s.log", content=b"x" * 1001)).status_code == 413

            async def much() -> Any:
                for _ in range(11):
                    yield b"x" * 100

            assert (await outside("PUT", f"{url}/s.log", content=much())).status_code == 413
            assert (await outside("POST", url, content=b"x" * 1000)).status_code == 201
            answer["status"] = "AcceptedCanceled"
            second = await made.ask("POST", "/log-jobs", 201, json=body)
            await told(station, "GetLog")

            async def replaced() -> bool:
                return bool((await made.get(f"/log-jobs/{first['number']}"))["state"] == "replaced")

            await made.eventually(replaced)
            notice = {"status": "PermissionDenied", "requestId": second["request_id"]}
            await station.call("LogStatusNotification", notice)
            assert (await made.get(f"/log-jobs/{second['number']}"))["state"] == "failed"
            answer["status"] = "Rejected"
            third = await made.ask("POST", "/log-jobs", 201, json=body)

            async def rejected() -> bool:
                return bool((await made.get(f"/log-jobs/{third['number']}"))["state"] == "rejected")

            await made.eventually(rejected)


async def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, resources=ResourceSettings(largest_image=10))
    async with house(tmp_path, csms_settings=settings) as made:
        await made.ask("POST", "/stations", 201, json={"id": "CS1"})
        await upload(made, b"12345678901", 413)
        assert (await upload(made, b"123", 422, sha256="0" * 64))["errors"][0]["field"] == "sha256"
        assert (await upload(made, b"123", 422, name="../x"))["errors"][0]["field"] == "name"
        assert list((tmp_path / "files").iterdir()) == []
        for body in ({}, {"file_number": 1, "location": "http://a/b"}, {"location": "http://a/b", "signed": True}):
            await made.ask("POST", "/firmware-jobs", 422, json={"station_id": "CS1", **body})
        await made.ask("POST", "/firmware-jobs", 404, json={"station_id": "CS1", "file_number": 9})
        past = {"station_id": "CS1", "deadline_at": "2020-01-01T00:00:00Z"}
        assert (await made.ask("POST", "/log-jobs", 422, json=past))["errors"][0]["field"] == "deadline_at"
        for address in ("", "nothing", "a/b/c"):
            assert (await outside("GET", f"{made.url}/files/{address}")).status_code == 404
        assert (await outside("DELETE", f"{made.url}/files/x")).status_code == 404
        assert (await outside("GET", f"{made.url}/api/v1/firmware-images")).status_code == 401


async def test_a_station_that_never_answers_may_do_it_all_the_same(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, command_timeout_s=0.1)
    async with (
        house(tmp_path, csms_settings=settings) as made,
        made.station("CS1", lambda _action, _payload: None) as station,
    ):
        job = await made.ask("POST", "/firmware-jobs", 201, json={"station_id": "CS1", "location": "ftp://a/b"})
        path = f"/firmware-jobs/{job['number']}"

        async def unanswered() -> bool:
            now = await made.get(path)
            return bool(now["detail"] and now["state"] == "requested")

        await made.eventually(unanswered)
        for status, state in (("Downloading", "running"), ("Installed", "done")):
            await station.call("FirmwareStatusNotification", {"status": status})
            assert (await made.get(path))["state"] == state


async def test_a_later_protocol_numbers_every_job(house: House) -> None:
    async with house.station_v201("CS1") as station:
        update = await house.ask("POST", "/firmware-jobs", 201, json={"station_id": "CS1", "location": "ftp://a/b"})
        asked = await told(station, "UpdateFirmware")
        assert asked["requestId"] == update["request_id"]
        upload_ = await house.ask("POST", "/log-jobs", 201, json={"station_id": "CS1"})
        logged = await told(station, "GetLog")
        assert (logged["requestId"], logged["logType"]) == (upload_["request_id"], "DiagnosticsLog")
        for action, job, statuses in (
            ("FirmwareStatusNotification", f"/firmware-jobs/{update['number']}", ("Downloading", "Installed")),
            ("LogStatusNotification", f"/log-jobs/{upload_['number']}", ("Uploading", "Uploaded")),
        ):
            number = (await house.get(job))["request_id"]
            for status, state in zip(statuses, ("running", "done"), strict=True):
                await station.call(action, {"status": status, "requestId": number})
                assert (await house.get(job))["state"] == state


async def job_of(house: House, path: str, command: Any) -> Any:
    """The one job that a command has made."""
    listed = await house.get(f"{path}?station_id={command['station_id']}")
    (job,) = [entry for entry in listed["items"] if entry["command_id"] == command["id"]]
    return job


async def test_a_typed_command_for_an_update_is_a_job_too(house: House) -> None:
    body = {"station_id": "CS1", "location": "ftp://a/b", "retrieve_at": "2030-01-01T00:00:00Z", "retries": 2}
    async with house.station("CS1", lambda _action, _payload: {}) as station:
        command = await house.ask("POST", "/commands/UPDATE_FIRMWARE", 200, json=body, headers=WAIT)
        assert (await told(station, "UpdateFirmware"))["retries"] == 2
        job = await job_of(house, "/firmware-jobs", command)
        assert (job["state"], job["location"], job["retries"], job["attempts"]) == ("running", "ftp://a/b", 2, 1)
        for status in ("Downloading", "DownloadFailed"):
            await station.call("FirmwareStatusNotification", {"status": status})
        job = await job_of(house, "/firmware-jobs", command)
        assert (job["state"], job["firmware_status"]) == ("failed", "DownloadFailed")
        assert [step["what"] for step in job["history"]] == ["asked", "Accepted", "Downloading", "DownloadFailed"]
    offline = await house.ask("POST", "/commands/UPDATE_FIRMWARE", 409, json=body)
    job = await job_of(house, "/firmware-jobs", offline)
    assert (job["state"], job["attempts"], job["detail"]) == ("failed", 0, "the station is not connected")


async def test_a_signed_update_by_command_is_given_a_request_id(house: House) -> None:
    answer = {"status": "InvalidCertificate"}
    body = {
        "station_id": "CS1",
        "location": "https://a/b",
        "retrieve_at": "2030-01-01T00:00:00Z",
        "signature": "c2ln",
        "signing_certificate": "-----BEGIN CERTIFICATE-----",
    }
    async with house.station("CS1", lambda _action, _payload: answer) as station:
        key = {**WAIT, "idempotency-key": "once"}
        command = await house.ask("POST", "/commands/UPDATE_FIRMWARE", 200, json=body, headers=key)
        job = await job_of(house, "/firmware-jobs", command)
        asked = await told(station, "SignedUpdateFirmware")
        assert (job["request_id"], job["signed"], job["state"]) == (asked["requestId"], True, "rejected")
        assert job["detail"] == "InvalidCertificate"
        found = await house.get(f"/firmware-jobs?request_id={asked['requestId']}")
        assert [entry["number"] for entry in found["items"]] == [job["number"]]
        again = await house.ask("POST", "/commands/UPDATE_FIRMWARE", 200, json=body, headers=key)
        assert again["id"] == command["id"]


async def test_logs_by_typed_and_raw_commands_are_jobs_too(house: House) -> None:
    answer = {"status": "Accepted", "filename": "s.log", "fileName": "d.zip"}
    async with house.station("CS1", lambda _action, _payload: answer) as station:
        body = {"station_id": "CS1", "location": "ftp://a/b", "log_type": "SecurityLog"}
        command = await house.ask("POST", "/commands/GET_LOG", 200, json=body, headers=WAIT)
        request_id = (await told(station, "GetLog"))["requestId"]
        await station.call("LogStatusNotification", {"status": "Uploaded", "requestId": request_id})
        job = await job_of(house, "/log-jobs", command)
        assert (job["state"], job["log_type"], job["filename"]) == ("done", "SecurityLog", "s.log")

        raw = "/stations/CS1/ocpp/GetDiagnostics"
        command = await house.ask("POST", raw, 200, json={"location": "ftp://c/d"}, headers=WAIT)
        job = await job_of(house, "/log-jobs", command)
        assert (job["state"], job["location"], job["filename"]) == ("running", "ftp://c/d", "d.zip")
        await station.call("DiagnosticsStatusNotification", {"status": "UploadFailed"})
        job = await job_of(house, "/log-jobs", command)
        assert (job["state"], job["upload_status"]) == ("failed", "UploadFailure")
