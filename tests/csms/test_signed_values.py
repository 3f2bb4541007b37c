"""Signed readings: untouched, with their key from wherever it came; a signature that somebody else's code verifies."""

import base64
import hashlib
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from forecourt.csms.signed_values import as_xml, content_of, hex_of, signed_readings
from tests.api.houses import house
from tests.api.test_api_money import begin

KEY = ec.derive_private_key(int.from_bytes(hashlib.sha256(b"meter").digest()), ec.SECP256R1())
DER = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
# OCA's white paper on signed meter values, §5.3.
PRINTED = (
    "3056301006072a8648ce3d020106052b8104000a03420004460a02ba2766d9c44f023ecc0e4e58644a87add1aadd"
    "6317e5fe4dccdb29b163a01d8a6297c84bc530f86431e92f8d46ab37830247c05cbd92fac252929e7f61"
)
PACKED = base64.b64encode(f"oca:base16:asn1:{PRINTED}".encode()).decode()


def ocmf(reading: float) -> str:
    """What a meter signs: the bytes of the payload, spaces and order included."""
    payload = f'{{"FV":"1.0", "PG":"T1","RD":[{{"TM":"2025-11-01T12:00:00,000+0000 S","RV":{reading},"RU":"kWh"}}]}}'
    signature = KEY.sign(payload.encode(), ec.ECDSA(hashes.SHA256()))
    return f'OCMF|{payload}|{{"SA":"ECDSA-secp256r1-SHA256","SD":"{signature.hex()}"}}'


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (PACKED, PRINTED),
        (f"oca:base16:asn1:{PRINTED}", PRINTED),
        (f"oca:base16:asn1:0x{PRINTED[:40].upper()} {PRINTED[40:]}", PRINTED),
        (f"oca:base64:asn1:{base64.b64encode(bytes.fromhex(PRINTED)).decode()}", PRINTED),
        (PRINTED.upper(), PRINTED),
        (base64.b64encode(bytes.fromhex(PRINTED)).decode(), PRINTED),
        ("oca:base58:asn1:abc", None),
        ("key", None),
        ("", None),
    ],
)
def test_keys_as_they_are_told(told: str, expected: str | None) -> None:
    assert hex_of(told) == expected


def test_contents_as_they_are_packed() -> None:
    text = ocmf(1.0)
    assert content_of(text) == content_of(base64.b64encode(text.encode()).decode()) == text
    assert content_of("<signed/>") is None
    assert content_of(base64.b64encode(b"\xff\x00").decode()) is None


async def test_signed_readings_over_the_api_are_what_the_meter_said(tmp_path: Path) -> None:
    def answer(_action: str, _payload: object) -> object:
        return {"configurationKey": [{"key": "MeterPublicKey1", "readonly": True, "value": PACKED}]}

    begun_text = ocmf(1.0)
    async with house(tmp_path) as made, made.station("CS-1", answer) as station:
        wire_id = await begin(station)
        wrapper = {
            "signedMeterData": base64.b64encode(ocmf(2.5).encode()).decode(),
            "signingMethod": "",
            "encodingMethod": "OCMF",
            "publicKey": base64.b64encode(f"oca:base16:asn1:{DER.hex()}".encode()).decode(),
        }
        samples = [
            {"value": begun_text, "format": "SignedData", "context": "Transaction.Begin"},
            {"value": json.dumps(wrapper), "format": "SignedData", "context": "Transaction.End"},
            {"value": "2500", "unit": "Wh"},
        ]
        await station.call(
            "MeterValues",
            {
                "connectorId": 1,
                "transactionId": wire_id,
                "meterValue": [{"timestamp": "2025-11-01T12:30:00Z", "sampledValue": samples}],
            },
        )
        first, last = (await made.get(f"/transactions/{wire_id}/signed-meter-values"))["items"]
        assert (first["signed_data"], first["public_key"], first["key_source"]) == (begun_text, None, None)
        assert last["signed_data"] == wrapper["signedMeterData"]
        assert (last["public_key_hex"], last["key_source"]) == (DER.hex(), "reading")
        response = await made.client.get(f"/api/v1/transactions/{wire_id}/signed-meter-values.xml")
        assert response.headers["content-type"].startswith("application/xml")
        begun, ended = ET.fromstring(response.content)
        assert (begun.get("context"), ended.get("context")) == ("Transaction.Begin", "Transaction.End")
        # Verified the way that docs/signed-readings.md says.
        text, key = ended.findtext("signedData") or "", ended.findtext("publicKey") or ""
        _, payload, signature = text.split("|")
        public = serialization.load_der_public_key(bytes.fromhex(key))
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(bytes.fromhex(json.loads(signature)["SD"]), payload.encode(), ec.ECDSA(hashes.SHA256()))
        # The key that the station reports counts where none came along.
        asked = "/stations/CS-1/ocpp/GetConfiguration"
        await made.ask("POST", asked, 200, json={"key": ["MeterPublicKey1"]}, headers={"prefer": "wait=10"})
        before, _ = await signed_readings(made.context, wire_id)
        assert (before.public_key, before.public_key_hex, before.key_source) == (PACKED, PRINTED, "station")
        await made.ask("GET", "/transactions/4711/signed-meter-values", 404)
    assert as_xml(1, ()) == '<?xml version="1.0" encoding="UTF-8"?>\n<values>\n</values>\n'
