"""Every test case of the document with the system under test Central System is a test named after it."""

import re
from pathlib import Path
from typing import Final

CASES: Final = (
    "001", "003", "004_1", "004_2", "005_1", "007", "010", "011_1", "011_2", "012", "013", "014", "017_1", "017_2",
    "018_1", "019_1", "019_2", "021", "023_1", "023_2", "023_3", "024", "026", "028", "030", "031", "032_1",
    "037_1", "037_3", "039", "040_1", "040_2", "042_1", "042_2", "043_1", "043_3", "043_4", "043_5", "044_1",
    "044_2", "044_3", "045_1", "045_2", "046", "047", "048_1", "048_2", "048_3", "048_4", "049", "051", "052",
    "053", "054", "055", "056", "057", "059", "061", "064", "066", "067", "073", "074", "075_1", "075_2", "076",
    "077", "078", "079", "080", "081", "085", "086", "087",
)  # fmt: skip
"""The numbers of TC_..._CSMS (document of 2024-04, chapter 3)."""

_NAME: Final = re.compile(r"(?:def test_|\")tc_(\d{3}(?:_\d)?)_csms\b")
"""A function's name, or the id of a parameter."""


def test_every_case_is_a_test() -> None:
    modules = [path for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name]
    named = [number for path in modules for number in _NAME.findall(path.read_text(encoding="utf-8"))]
    assert len(set(CASES)) == len(CASES) == 75
    assert sorted(named) == sorted(CASES)
