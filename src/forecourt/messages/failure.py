"""Why a payload is not the message it should be.

`FailureKind` bears the names of what OCPP-J tells apart in a CALLERROR (1.6 §4.2.3, 2.0.1 part 4 §4.3), so that its
translation into an error code is a matter of name alone.
"""

from enum import Enum
from typing import NamedTuple


class FailureKind(Enum):
    """What a payload did wrong."""

    UNKNOWN_ACTION = "unknown action"
    MALFORMED_PAYLOAD = "not JSON"
    WRONG_STRUCTURE = "not an object"
    MISSING_FIELD = "a required field is missing"
    OCCURRENCE = "too few or too many elements"
    TYPE = "wrong type"
    VALUE = "length, range, enumeration or format"


class Violation(NamedTuple):
    """A deviation from the schema. `path` is the wire's (`meterValue[0].timestamp`), empty for the whole payload."""

    kind: FailureKind
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DecodeFailure(ValueError):  # noqa: N818 - the word of the glossary, beside timeouts and refusals
    """The payload can't be read; `kind`, `path` and `message` say why."""

    def __init__(self, kind: FailureKind, path: str, message: str) -> None:
        super().__init__(kind, path, message)
        self.violation = Violation(kind, path, message)

    @property
    def kind(self) -> FailureKind:
        return self.violation.kind

    @property
    def path(self) -> str:
        return self.violation.path

    @property
    def message(self) -> str:
        return self.violation.message

    def __str__(self) -> str:
        return str(self.violation)


class EncodeFailure(ValueError):  # noqa: N818 - as above
    """The message would not be valid on the wire: a mistake of ours, or a value nobody checked before."""
