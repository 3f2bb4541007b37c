"""Each test case is a test named after it, or is listed with the reason why it is not."""

import re
from pathlib import Path

from tests.octt.station.cases import CASES, NOT_YET

_NUMBER = re.compile(r"tc_(\d{3}(?:_\d)?)_cs")


def named() -> set[str]:
    names = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
    modules = [path for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name]
    sources = [path.read_text(encoding="utf-8") for path in modules]
    return {number for source in sources for name in names.findall(source) for number in _NUMBER.findall(name)}


def test_every_case_is_a_test_or_has_a_reason() -> None:
    assert len(set(CASES)) == len(CASES) == 102
    assert named() | NOT_YET.keys() == set(CASES)
    assert not named() & NOT_YET.keys(), "what is done needs no reason"
    assert all(NOT_YET.values())
