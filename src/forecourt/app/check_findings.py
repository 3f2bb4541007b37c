"""What a check is, and what it finds.

Guarantees
* A check is a type: its fields are the options that a requirement gives, `look` is what it does.
* A finding has evidence: the handshake, or the frames that show it. What did not happen is `not_seen`, what happened
  and is wrong is `failed`; nothing passes that wasn't seen.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import msgspec

from forecourt.app.check_bench import Bench, evidence_of
from forecourt.csms.command_records import Command, CommandState


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_SEEN = "not_seen"
    NOT_APPLICABLE = "not_applicable"


class Finding(msgspec.Struct, frozen=True):
    """What a check saw."""

    outcome: Outcome
    summary: str
    evidence: tuple[str, ...] = ()


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all checks."""

    async def look(self, bench: Bench) -> Finding:
        """Do it."""
        raise NotImplementedError


Within = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Words = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


def judged(holds: bool, summary: str, evidence: Iterable[str]) -> Finding:
    """It was seen, and it holds or it doesn't."""
    return Finding(Outcome.PASSED if holds else Outcome.FAILED, summary, tuple(evidence))


def unseen(summary: str) -> Finding:
    """It didn't come to that."""
    return Finding(Outcome.NOT_SEEN, summary)


def refused(command: Command) -> Finding:
    """It was asked for something, and didn't accept."""
    unanswered = command.state in {CommandState.OFFLINE, CommandState.EXPIRED}
    outcome = Outcome.NOT_SEEN if unanswered else Outcome.FAILED
    return Finding(outcome, f"it was asked, and the answer is: {command.state}", evidence_of(command))
