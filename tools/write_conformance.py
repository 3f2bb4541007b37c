"""Write docs/conformance.md: each requirement of `tools/requirements.txt`, who obeys it, and which tests show it.

A module obeys what its docstrings and comments cite; a test shows what it is named after (`test_tc_004_1_cs`,
`test_a05_fr_03`) or cites. `--check` fails when the page differs from what this would write, or when a requirement is
cited nowhere and has no reason for that. `--missing` lists those.
"""

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "tools" / "requirements.txt"
PAGE = ROOT / "docs" / "conformance.md"
SOURCE = ROOT / "src" / "forecourt"
TESTS = ROOT / "tests"
SIDES = {"station": ("cs",), "csms": ("csms",), "both": ("cs", "csms")}
"""Who obeys, and the sides of the test cases that show it."""

INTRODUCTION = """# Conformance to OCPP 1.6

Written by `tools/write_conformance.py` from `tools/requirements.txt`, from what the modules cite, and from what the
tests cite or are named after: every requirement of OCPP 1.6, chapters 3 to 7, and of the security white paper (edition
3), in our words; which modules obey it, and which tests show it. The numbers say where to read the specification's own.
Requirements of one section share the modules that cite the section. `TC_…` are the cases of the compliancy test tool,
each of them a test in `tests/octt` against an independent peer.

`make conformance` writes this page; `make check` fails when it is not up to date, or when something is obeyed nowhere.
"""

_RULE = re.compile(
    r"(?:\b(?P<use_case>[A-N]\d\d)\.)?\bFR\.(?P<first>\d+)(?:\s*(?:to|-)\s*(?:[A-N]\d\d\.)?FR\.(?P<last>\d+))?"
)
_SECTION = re.compile(
    r"(?P<source>errata|OCPP-J 1\.6|OCPP 1\.6|OCPP 2[\d.]*(?: [Pp]art \d+)?|white paper(?: edition 3)?|ISO 15118"
    r"|RFC \d+|OCPI [\d.]+)?\s*§(?P<first>\d+(?:\.\d+)*)(?:\s*to\s*§?(?P<last>\d+(?:\.\d+)*))?"
)
_CASE_NAME = re.compile(r"tc_(\d{3}(?:_\d)?)_(csms|cs)")


class Requirement(NamedTuple):
    """One line."""

    where: str
    who: str
    what: str
    reason: str
    same_as: str
    cases: tuple[str, ...]


class Citations(NamedTuple):
    """Who cites what: paths below the repository."""

    modules: dict[str, set[str]]
    tests: dict[str, set[str]]
    cases: dict[str, set[str]]
    """By `004_1_cs`: the tests of that name."""


def requirements(text: str) -> list[tuple[str, list[Requirement]]]:
    """The chapters, and what each has."""
    chapters: list[tuple[str, list[Requirement]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("## "):
            chapters.append((line[3:].strip(), []))
        elif line.strip() and not line.startswith("#"):
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) not in {3, 4} or cells[1] not in SIDES:
                raise ValueError(f"line {number}: expected: where | {' or '.join(SIDES)} | what | cases")
            what, _, reason = cells[2].removeprefix("!").partition(" -- ")
            if cells[2].startswith("!") != bool(reason):
                raise ValueError(f"line {number}: what is not obeyed needs a reason, and nothing else does")
            same_as = what[2:] if what.startswith("= ") else ""
            cases = tuple(cells[3].split()) if len(cells) == 4 else ()
            chapters[-1][1].append(Requirement(cells[0], cells[1], what, reason, same_as, cases))
    return chapters


def cited(text: str) -> set[str]:
    """What a text cites: `§4.2` of OCPP 1.6, `A05.FR.03` of the white paper."""
    flat = re.sub(r"\s*\n\s*#?\s*", " ", text)
    found: set[str] = set()
    use_case = ""
    for rule in _RULE.finditer(flat):
        use_case = rule["use_case"] or use_case
        first, last = int(rule["first"]), int(rule["last"] or rule["first"])
        if use_case:
            width = len(rule["first"])
            found |= {f"{use_case}.FR.{number:0{width}d}" for number in range(first, min(last, first + 99) + 1)}
    source = ""
    for section in _SECTION.finditer(flat):
        if section["source"] == "errata":
            continue  # of what was cited before, and so will the next be
        source = section["source"] or source
        if source == "OCPP 1.6":
            found |= _span(section["first"], section["last"])
    return found


def _span(first: str, last: str | None) -> set[str]:
    if last is None:
        return {f"§{first}"}
    head, _, begin = first.rpartition(".")
    end = last.rpartition(".")[2]
    return {f"§{head}.{number}" for number in range(int(begin), int(end) + 1)} if head else {f"§{first}"}


def words(source: str) -> list[str]:
    """Docstrings and comments of a module."""
    parts = [
        ast.get_docstring(node, clean=False) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    comments: list[str] = []
    row = -2
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and text.startswith('"""')):
            joined = token.type == tokenize.COMMENT and token.start[0] == row + 1
            comments.append((" " if joined else "\n\n") + text.lstrip("#").strip())
            row = token.end[0]
    return [*parts, *"".join(comments).split("\n\n")]


def gather() -> Citations:
    """Read the whole repository."""
    modules: dict[str, set[str]] = defaultdict(set)
    tests: dict[str, set[str]] = defaultdict(set)
    cases: dict[str, set[str]] = defaultdict(set)
    for path in sorted(SOURCE.rglob("*.py")):
        if "/messages/v" in path.as_posix():
            continue
        for one in (one for text in words(path.read_text(encoding="utf-8")) for one in cited(text)):
            modules[one].add(path.relative_to(SOURCE).as_posix())
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        name = path.relative_to(TESTS).as_posix()
        for one in (one for text in words(source) for one in cited(text)):
            tests[one].add(name)
        for function in re.findall(r"^(?:async )?def (test_\w+)", source, re.MULTILINE):
            for use_case, number in re.findall(r"([a-n]\d\d)_fr_(\d+)", function):
                tests[f"{use_case.upper()}.FR.{number}"].add(name)
            if "octt" in name:
                for number, side in _CASE_NAME.findall(function):
                    cases[f"{number}_{side}"].add(name)
    return Citations(dict(modules), dict(tests), dict(cases))


def missing(chapters: list[tuple[str, list[Requirement]]], found: Citations) -> Iterator[str]:
    """What is wrong: requirements that are cited nowhere, or are the same as one that is not there."""
    known = {one.where for _, listed in chapters for one in listed}
    for _, listed in chapters:
        for one in listed:
            if one.same_as:
                if one.same_as not in known:
                    yield f"{one.where}: the same as {one.same_as}, which is not there"
            elif not one.reason and one.where not in found.modules:
                yield f"{one.where}: cited nowhere ({one.who}: {one.what})"


def tests_of(one: Requirement, found: Citations) -> list[str]:
    """The cases of the tool that are tests, by the side that obeys."""
    return [
        f"TC_{case}_{side.upper()}" for case in one.cases for side in SIDES[one.who] if f"{case}_{side}" in found.cases
    ]


def page(chapters: list[tuple[str, list[Requirement]]], found: Citations) -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, listed in chapters:
        obeyed = sum(1 for one in listed if not one.reason)
        parts.append(f"## {title}\n\n{len(listed)} requirements, {obeyed} of them obeyed here.\n")
        parts.append("| where | who | what | modules | tests |\n|---|---|---|---|---|")
        before = ""
        for one in listed:
            again = one.where == before
            before = one.where
            origin = one.same_as or one.where
            what = f"as {one.same_as}" if one.same_as else one.what
            if one.reason:
                what = f"{what} (not here: {one.reason})"
            who = {"station": "station", "csms": "CSMS", "both": "both"}[one.who]
            modules = "″" if again else ", ".join(f"`{name}`" for name in sorted(found.modules.get(origin, ())))
            named = [] if again else [f"`{name}`" for name in sorted(found.tests.get(origin, ()))]
            shown = ", ".join([*tests_of(one, found), *named])
            parts.append(f"| {one.where} | {who} | {what} | {modules} | {shown} |")
        parts.append("")
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Write, or compare."""
    chapters = requirements(REQUIREMENTS.read_text(encoding="utf-8"))
    found = gather()
    wrong = list(missing(chapters, found))
    for line in wrong:
        print(line, file=sys.stderr)
    if "--missing" in arguments:
        return 1 if wrong else 0
    text = page(chapters, found)
    if "--check" in arguments:
        stale = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text
        if stale:
            print(f"{PAGE.relative_to(ROOT)} differs: make conformance", file=sys.stderr)
        return 1 if stale or wrong else 0
    PAGE.write_text(text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
