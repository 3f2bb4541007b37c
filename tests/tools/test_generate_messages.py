"""The generator: its output is what is committed, and its names are the ones that people would choose."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import generate_messages as generator


def test_the_committed_modules_are_what_the_schemas_give() -> None:
    for version in generator.VERSIONS:
        committed = (generator.OUTPUT / f"{version}.py").read_text(encoding="utf-8")
        assert generator.source_of(version) == committed, "run `make messages`"


def test_check_fails_and_shows_the_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generator, "OUTPUT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate_messages.py"])
    assert generator.main() == 0
    path = tmp_path / "v16.py"
    path.write_text(path.read_text(encoding="utf-8").replace("id_tag: Text20", "id_tag: str", 1), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["generate_messages.py", "--check"])
    capsys.readouterr()
    assert generator.main() == 1
    shown = capsys.readouterr().err
    assert "-    id_tag: str" in shown
    assert "+    id_tag: Text20" in shown
    assert "make messages" in shown


def test_runs_as_a_script() -> None:
    script = Path(generator.__file__)
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        ("idTag", "id_tag"),
        ("evseId", "evse_id"),
        ("responderURL", "responder_url"),
        ("soC", "soc"),
        ("targetSoC", "target_soc"),
        ("limit_L2", "limit_l2"),
        ("evMaxV2XEnergyRequest", "ev_max_v2x_energy_request"),
        ("v2xBaseline", "v2x_baseline"),
        ("prioritizedEMAIDs", "prioritized_emaids"),
        ("iso15118SchemaVersion", "iso15118_schema_version"),
        ("numEPriceLevels", "num_e_price_levels"),
        ("from", "from_"),
    ],
)
def test_attribute_names(wire: str, name: str) -> None:
    assert generator.attribute_name(wire) == name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Energy.Active.Import.Register", "ENERGY_ACTIVE_IMPORT_REGISTER"),
        ("SuspendedEVSE", "SUSPENDED_EVSE"),
        ("EVDisconnected", "EV_DISCONNECTED"),
        ("L1-N", "L1_N"),
        ("kWh", "KWH"),
        ("SoC", "SOC"),
        ("AC_three_phase", "AC_THREE_PHASE"),
        ("SignV2G20Certificate", "SIGN_V2G20_CERTIFICATE"),
        ("CSMSRootCertificate", "CSMS_ROOT_CERTIFICATE"),
        ("ISO14443", "ISO14443"),
        ("dateTime", "DATE_TIME"),
    ],
)
def test_member_names(value: str, name: str) -> None:
    assert generator.member_name(value) == name


def test_an_unknown_keyword_stops_the_generator() -> None:
    with pytest.raises(generator.SchemaSurpriseError, match="exclusiveMinimum"):
        generator.require_known({"type": "integer", "exclusiveMinimum": 0}, "somewhere")


def test_one_name_for_two_shapes_stops_the_generator() -> None:
    reader = generator.Reader(generator.Module("v16"), {})
    reader.enum("Colour", {"type": "string", "enum": ["Red", "Blue"]})
    reader.enum("Colour", {"type": "string", "enum": ["Blue", "Red"]})
    with pytest.raises(generator.SchemaSurpriseError, match="two shapes"):
        reader.enum("Colour", {"type": "string", "enum": ["Blue", "Green"]})
