"""OCPP 1.6 compliancy test cases, SUT Central System: firmware, diagnostics, logs, signed firmware (§3.15, §3.16,
§3.21.2, §3.21.3).

As `test_core.py`: an independent charge point, triggers by the public API only, nothing unsolicited.
"""

from typing import Any

import httpx

from tests.octt.csms.running import Api, Csms
from tests.octt.csms.station_v16 import CONNECTORS, ChargePoint, call, now

IMAGE = b"firmware" * 1000
LOCATION = "https://downloads.example.com/firmware.bin"


async def update(api: Api, identity: str, **more: Any) -> str:
    """The path of a job to update."""
    made = await api.post("/firmware-jobs", {"station_id": identity, "location": LOCATION, **more})
    return f"/firmware-jobs/{made['number']}"


async def told(api: Api, point: ChargePoint, path: str, status: str, state: str = "running") -> None:
    await point.call(call.FirmwareStatusNotification(status))
    job = await api.get(path)
    assert (job["firmware_status"], job["state"]) == (status, state)


async def all_connectors(point: ChargePoint, status: str) -> None:
    for connector_id in range(1, CONNECTORS + 1):
        await point.status(status, connector_id=connector_id)


# 3.15 Firmware management


async def test_tc_044_1_csms(api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["UpdateFirmware"] = {}
    path = await update(api, identity)
    assert (await point.expect("UpdateFirmware"))["location"] == LOCATION
    await told(api, point, path, "Downloading")
    await told(api, point, path, "Downloaded")
    await all_connectors(point, "Unavailable")
    await told(api, point, path, "Installing")
    await point.boot()
    await told(api, point, path, "Installed", "done")


async def test_tc_044_2_csms(api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["UpdateFirmware"] = {}
    path = await update(api, identity)
    await point.expect("UpdateFirmware")
    await told(api, point, path, "Downloading")
    await told(api, point, path, "DownloadFailed", "failed")


async def test_tc_044_3_csms(api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["UpdateFirmware"] = {}
    path = await update(api, identity)
    await point.expect("UpdateFirmware")
    await told(api, point, path, "Downloading")
    await told(api, point, path, "Downloaded")
    await all_connectors(point, "Unavailable")
    await told(api, point, path, "Installing")
    await point.boot()
    await told(api, point, path, "InstallationFailed", "failed")


# 3.16 Diagnostics


async def test_tc_045_1_csms(csms: Csms, api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["GetDiagnostics"] = {"file_name": "diagnostics.log"}
    made = await api.post("/log-jobs", {"station_id": identity})
    path = f"/log-jobs/{made['number']}"
    location = (await point.expect("GetDiagnostics"))["location"]
    await point.call(call.DiagnosticsStatusNotification("Uploading"))
    assert (await api.get(path))["state"] == "running"
    async with httpx.AsyncClient(trust_env=False) as station:
        assert (await station.put(f"{location}/diagnostics.log", content=b"all is well")).status_code == 201
    await point.call(call.DiagnosticsStatusNotification("Uploaded"))
    assert (await api.get(path))["state"] == "done"
    # The name is in the answer to GetDiagnostics, which is booked by itself.
    await api.eventually(lambda: api.get(path), lambda job: job["filename"] == "diagnostics.log")
    assert (await api.client.get(f"{path}/file")).content == b"all is well"


async def test_tc_045_2_csms(api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["GetDiagnostics"] = {"file_name": "diagnostics.log"}
    made = await api.post("/log-jobs", {"station_id": identity})
    await point.expect("GetDiagnostics")
    await point.call(call.DiagnosticsStatusNotification("Uploading"))
    await point.call(call.DiagnosticsStatusNotification("UploadFailed"))
    job = await api.get(f"/log-jobs/{made['number']}")
    assert (job["state"], job["upload_status"]) == ("failed", "UploadFailure")


# 3.21.2 Security log


async def test_tc_079_csms(api: Api, point: ChargePoint, identity: str) -> None:
    point.answers["GetLog"] = {"status": "Accepted", "filename": "security.log"}
    location = "https://logs.example.com/here"
    made = await api.post("/log-jobs", {"station_id": identity, "log_type": "SecurityLog", "location": location})
    asked = await point.expect("GetLog")
    assert (asked["log"]["remoteLocation"], asked["logType"]) == (location, "SecurityLog")
    for status, state in (("Uploading", "running"), ("Uploaded", "done")):
        await point.call(call.LogStatusNotification(status, request_id=asked["requestId"]))
        job = await api.get(f"/log-jobs/{made['number']}")
        assert (job["upload_status"], job["state"]) == (status, state)


# 3.21.3 Secure firmware update


async def secure_update(api: Api, point: ChargePoint, identity: str) -> tuple[str, int]:
    """An image that is kept here, with its signature; the path of the job, and its request id."""
    uploaded = await api.client.post("/firmware-images", content=IMAGE, params={"name": "fw.bin"})
    number = uploaded.json()["number"]
    await api.put(f"/firmware-images/{number}", {"signature": "c2lnbmF0dXJl", "signing_certificate": "CERTIFICATE"})
    made = await api.post("/firmware-jobs", {"station_id": identity, "file_number": number})
    asked = await point.expect("SignedUpdateFirmware")
    assert (asked["firmware"]["signature"], asked["firmware"]["signingCertificate"]) == ("c2lnbmF0dXJl", "CERTIFICATE")
    async with httpx.AsyncClient(trust_env=False) as station:
        assert (await station.get(asked["firmware"]["location"])).content == IMAGE
    return f"/firmware-jobs/{made['number']}", asked["requestId"]


async def told_signed(api: Api, point: ChargePoint, job: tuple[str, int], status: str, state: str = "running") -> None:
    path, request_id = job
    await point.call(call.SignedFirmwareStatusNotification(status, request_id))
    found = await api.get(path)
    assert (found["firmware_status"], found["state"]) == (status, state)


async def test_tc_080_csms(api: Api, point: ChargePoint, identity: str) -> None:
    job = await secure_update(api, point, identity)
    for status in ("Downloading", "Downloaded", "SignatureVerified"):
        await told_signed(api, point, job, status)
    await all_connectors(point, "Unavailable")
    for status in ("Installing", "InstallRebooting"):
        await told_signed(api, point, job, status)
    await point.boot()
    await point.call(call.SecurityEventNotification("FirmwareUpdated", now(), "2.0"))
    await all_connectors(point, "Available")
    await told_signed(api, point, job, "Installed", "done")
    (event,) = (await api.get("/security-events", station_id=identity))["items"]
    assert event["type"] == "FirmwareUpdated"


async def test_tc_081_csms(api: Api, point: ChargePoint, identity: str) -> None:
    job = await secure_update(api, point, identity)
    for status in ("Downloading", "Downloaded"):
        await told_signed(api, point, job, status)
    await told_signed(api, point, job, "InvalidSignature", "failed")
