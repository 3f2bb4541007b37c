"""`forecourt controller replay`: the decisions of a log, decided again.

Guarantees
* Exit code 0: every decision came out as it had. 1: one didn't. 2: it isn't a log of decisions.
"""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from forecourt.app.running import Exit, fail
from forecourt.controller.decision_record import LogError, Replayed
from forecourt.controller.decision_record import replay as decide_again
from forecourt.store.decision_log import lines_of

_SHOWN = 10


def replay(
    file: Annotated[Path, typer.Argument(help="A log of decisions: decisions.jsonl in the state directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Decide again what a controller has decided, from the same inputs, and say whether the same comes out.

    Exit code 1: something else came out; the first differences are shown.
    """
    try:
        found = decide_again(lines_of(file))
    except OSError as error:
        fail(f"{file}: {error.strerror or error}", Exit.USAGE)
    except LogError as error:
        fail(f"{file}: not a log of decisions: {error}", Exit.USAGE)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        typer.echo("\n".join(_told(found)))
    if not found.same:
        raise typer.Exit(Exit.FAILED)


def _told(found: Replayed) -> list[str]:
    skipped = f", {found.skipped} lines skipped" if found.skipped else ""
    if found.begins is None or found.ends is None:
        return [f"no decisions{skipped}"]
    span = f"{found.begins:%Y-%m-%d %H:%M:%S} to {found.ends:%Y-%m-%d %H:%M:%S} UTC"
    lines = [f"{found.decisions} decisions, {span}{skipped}"]
    if found.same:
        return [*lines, "every one comes out as it was"]
    lines.append(f"{len(found.differences)} come out otherwise:")
    for one in found.differences[:_SHOWN]:
        shares = "; ".join(f"{key}: {then:.1f} A then, {now:.1f} A now" for key, then, now in one.shares)
        lines.append(f"  {one.at:%H:%M:%S}  {shares or 'the same shares, explained otherwise'}")
    return lines
