"""What `forecourt check` found: for a person, as JSON, and as JUnit for whoever runs it in a pipeline.

Guarantees
* All three say the same. A required one that failed or wasn't seen makes the whole fail.
"""

import xml.etree.ElementTree as ET
from datetime import datetime
from typing import Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from forecourt.app.check_findings import Finding, Outcome
from forecourt.app.check_list import Level, Requirement

_COLOURS: Final = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "red",
    Outcome.NOT_SEEN: "yellow",
    Outcome.NOT_APPLICABLE: "dim",
}
_LONGEST: Final = 400


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement, and what was found."""

    id: str
    title: str
    level: Level
    outcome: Outcome
    summary: str
    evidence: tuple[str, ...]
    seconds: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    title: str
    began_at: datetime
    station_id: str | None
    """None: no charger came."""
    vendor_name: str | None
    model: str | None
    firmware_version: str | None
    passed: bool
    results: tuple[Result, ...]


def result(requirement: Requirement, finding: Finding, seconds: float) -> Result:
    """A finding about a requirement."""
    return Result(
        id=requirement.id,
        title=requirement.title,
        level=requirement.level,
        outcome=finding.outcome,
        summary=finding.summary,
        evidence=finding.evidence,
        seconds=round(seconds, 1),
    )


def holds(results: tuple[Result, ...]) -> bool:
    """Whether nothing that is required failed or wasn't seen."""
    wrong = (Outcome.FAILED, Outcome.NOT_SEEN)
    return not any(one.level is Level.REQUIRED and one.outcome in wrong for one in results)


def to_json(report: Report) -> bytes:
    """As JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def to_junit(report: Report) -> bytes:
    """As JUnit: what is only recommended never fails."""
    wrong = [one for one in report.results if _counts(one)]
    skipped = [one for one in report.results if not _counts(one) and one.outcome is not Outcome.PASSED]
    suite = ET.Element(
        "testsuite",
        name=report.title,
        tests=str(len(report.results)),
        failures=str(len(wrong)),
        skipped=str(len(skipped)),
        timestamp=report.began_at.isoformat(),
        time=str(round(sum(one.seconds for one in report.results), 1)),
    )
    for one in report.results:
        case = ET.SubElement(
            suite, "testcase", classname=report.title, name=f"{one.id}: {one.title}", time=str(one.seconds)
        )
        if one in wrong:
            failure = ET.SubElement(case, "failure", message=one.summary, type=one.outcome.value)
            failure.text = _printable("\n".join(one.evidence))
        elif one in skipped:
            ET.SubElement(case, "skipped", message=f"{one.outcome.value}: {one.summary}")
        if one.evidence and one not in wrong:
            ET.SubElement(case, "system-out").text = _printable("\n".join(one.evidence))
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True))


def show(report: Report, console: Console) -> None:
    """For a person."""
    table = Table(title=report.title, expand=True, show_lines=False)
    table.add_column("")
    table.add_column("requirement", ratio=2)
    table.add_column("what was seen", ratio=3)
    for one in report.results:
        colour = _COLOURS[one.outcome]
        word = one.outcome.value.replace("_", " ")
        title = escape(one.title) + ("" if one.level is Level.REQUIRED else " [dim](recommended)[/dim]")
        table.add_row(f"[{colour}]{word}[/{colour}]", title, escape(one.summary))
    console.print(table)
    for one in report.results:
        if _counts(one) and one.evidence:
            console.print(f"[red]{escape(one.id)}[/red]: {escape(one.summary)}")
            for line in one.evidence:
                console.print(f"    {escape(line[:_LONGEST])}", highlight=False, soft_wrap=True)
    name = "no charger came" if report.station_id is None else report.station_id
    kind = " ".join(word for word in (report.vendor_name, report.model, report.firmware_version) if word)
    verdict = "[green]meets the list[/green]" if report.passed else "[red]does not meet the list[/red]"
    console.print(f"{escape(name)} {escape(kind)}: {verdict}")


def _counts(one: Result) -> bool:
    return one.level is Level.REQUIRED and one.outcome in {Outcome.FAILED, Outcome.NOT_SEEN}


def _printable(text: str) -> str:
    """Without what XML can't hold."""
    return "".join(letter if letter in "\t\n" or letter >= " " else "\N{REPLACEMENT CHARACTER}" for letter in text)
