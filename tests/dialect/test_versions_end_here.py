"""Versions end at the dialect: no other room names one (architecture, rule 3).

Citations such as "OCPP 1.6 §5.16" are welcome everywhere; what is sought are names that a program could branch on.
"""

import io
import re
import tokenize
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "forecourt"
ROOMS = ("allocation", "controller", "csms", "domain", "station", "store", "bus", "quantities.py")

NAMES = re.compile(r"\bv16\b|\bv201\b|\bv2_?0_?1\b|\bv21\b|ocpp_?1_?6|ocpp_?2|ocpp1\.6|ocpp2\.[01]", re.IGNORECASE)
NUMBERS = {'"1.6"', '"2.0.1"', '"2.1"', "'1.6'", "'2.0.1'", "'2.1'"}


def modules() -> list[Path]:
    return sorted(
        path for room in ROOMS for path in ([SOURCE / room] if room.endswith(".py") else (SOURCE / room).rglob("*.py"))
    )


def names_in(source: str) -> list[str]:
    """Names of versions in the program itself: comments, and strings that are documentation, do not count."""
    found = []
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        documentation = token.type == tokenize.STRING and before in {tokenize.NEWLINE, tokenize.INDENT}
        speaks = token.type != tokenize.COMMENT and not documentation
        if speaks and (NAMES.search(token.string) or token.string in NUMBERS):
            found.append(f"line {token.start[0]}: {token.string}")
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            before = token.type
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_version_is_named(path: Path) -> None:
    assert names_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        'if subprotocol == "ocpp1.6":\n    pass\n',
        "from forecourt.messages import v16\n",
        'version = "2.0.1"\n',
        "OCPP16 = 1\n",
        "def is_v201() -> bool: ...\nx = v201\n",
        "match x:\n    case 'ocpp2.1':\n        pass\n",
    ],
)
def test_the_guard_sees_one(source: str) -> None:
    assert names_in(source)


def test_the_guard_lets_citations_pass() -> None:
    assert names_in('"""Obeys OCPP 1.6 §4.8 and v16."""\n\nx = 1  # OCPP 2.0.1, ocpp1.6\n"""Also v201."""\n') == []


def test_the_rooms_exist() -> None:
    assert {path.relative_to(SOURCE).parts[0] for path in modules()} == set(ROOMS)
