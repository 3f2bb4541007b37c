"""The page of all keys is written from the station's table, and says of each what it does."""

from forecourt.station.variable_table import TABLE
from tools import write_keys


def test_the_page_is_what_its_writer_writes() -> None:
    assert write_keys.PAGE.read_text(encoding="utf-8") == write_keys.page()


def test_every_variable_has_a_line_and_an_effect() -> None:
    lines = {
        line.split(" | ")[0]: line.rstrip(" |").split(" | ") for line in write_keys.page().splitlines() if "`" in line
    }
    for spec in TABLE:
        cells = lines[f"| `{spec.ref}`"]
        assert len(cells) == 8
        assert cells[-1].endswith((".", ":")), spec.ref
        assert (cells[4] == "RW") is (spec.mutability == "ReadWrite")


def test_a_key_whose_words_differ_says_so() -> None:
    assert "ChargingScheduleAllowedChargingRateUnit (`Current,Power`)" in write_keys.page()
    assert "| ConnectionTimeOut | integer, s | from 0 | RW | `60` |" in write_keys.page()
