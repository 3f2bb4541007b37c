"""The list of requirements, and how citations are read."""

import pytest
from tools.write_conformance import REQUIREMENTS, Citations, cited, missing, requirements, words

LIST = """# About the list
#
# Rules

## 4. Operations
§4.2 | station | boots | 001
A00.FR.301 | both | = A00.FR.202
A00.FR.202 | station | Basic Auth
A00.FR.429 | station | !a serial number -- its maker sees to that
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("told (OCPP 1.6 §4.2 and §5.16.4 with errata 3.7; OCPP 2.0.1 K01)", {"§4.2", "§5.16.4"}),
        ("first (OCPP 1.6 §3.5.3, §4.1), then (§3.5, errata §3.14)", {"§3.5.3", "§4.1", "§3.5"}),
        ("OCPP 1.6 (§7.8 to §7.10) is none; OCPP 1.6 §7.8 to §7.10 is", {"§7.8", "§7.9", "§7.10"}),
        ("security white paper §2.1, OCPP-J 1.6 §6.2, ISO 15118 §5", set()),
        ("(white paper A05.FR.01); also (FR.03), FR.05 to FR.07", {f"A05.FR.0{number}" for number in (1, 3, 5, 6, 7)}),
        ("A00.FR.501 to\n# FR.503; L01.FR.04", {"A00.FR.501", "A00.FR.502", "A00.FR.503", "L01.FR.04"}),
        ("FR.03 of nothing", set()),
    ],
)
def test_what_a_text_cites(text: str, found: set[str]) -> None:
    assert cited(text) == found


def test_docstrings_and_comments_cite_and_code_does_not() -> None:
    source = (
        '"""OCPP 1.6 §4.2."""\nNAME = "OCPP 1.6 §4.3"\n\n\ndef f() -> None:\n    """§4.4."""\n    # OCPP 1.6 §4.5\n'
    )
    assert {one for text in words(source) for one in cited(text)} == {"§4.2", "§4.5"}


def test_what_is_obeyed_nowhere_is_missing() -> None:
    chapters = requirements(LIST)
    assert [(title, len(listed)) for title, listed in chapters] == [("4. Operations", 4)]
    nobody = Citations({}, {}, {})
    assert [line.split(":")[0] for line in missing(chapters, nobody)] == ["§4.2", "A00.FR.202"]
    assert not list(missing(chapters, Citations({"§4.2": {"a"}, "A00.FR.202": {"b"}}, {}, {})))


@pytest.mark.parametrize(
    "line", ["§4.2 | nobody | boots", "§4.2 | station", "§4.2 | both | !no reason", "§4.2 | both | a -- b"]
)
def test_a_line_that_can_not_be_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        requirements(f"## 4. Operations\n{line}\n")


def test_the_list_has_every_chapter_and_nothing_twice() -> None:
    chapters = requirements(REQUIREMENTS.read_text(encoding="utf-8"))
    listed = [(one.where, one.what) for _, part in chapters for one in part]
    assert len(set(listed)) == len(listed)
    for chapter in "34567":
        assert any(where.startswith(f"§{chapter}.") for where, _ in listed)
    use_cases = {where[:3] for where, _ in listed if not where.startswith("§")}
    assert use_cases == {"A00", "A01", "A02", "A03", "A04", "A05", "L01", "M03", "M04", "M05", "N01"}
