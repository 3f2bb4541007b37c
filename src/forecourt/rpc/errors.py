"""What may go wrong with a frame, and how each flavour of the framework says so on the wire.

Guarantees:

- A `Cause` is neutral: it names what went wrong. Its spelling on the wire is data, one table per flavour of the
  framework (`Rules`), so that no other module branches on a protocol version.
- Codes are spelled exactly as published, the two misspelt ones of the first generation included
  (OCPP-J 1.6 §4.2.3 table 7, and errata §5.1 and §5.2, which forbid correcting them on the wire). Received codes are
  understood in every spelling.
- What a flavour answers, and what it meets with silence, is data too:

  ======================================  ========================  ============================  =====================
  feature                                 first generation          second generation             second, with send
  ======================================  ========================  ============================  =====================
  message types                           2, 3, 4                   2, 3, 4                       2, 3, 4, 5, 6
  frame whose message id can't be read    silence: no id, no        CALLERROR with id "-1"        CALLERROR with id "-1"
                                          answer (§4.2.3)           (§4.2.3)                      (§4.2.3)
  unknown message type number             silence (§4.1.3)          MessageTypeNotSupported       silence (§4.1.3, §4.4)
                                                                    (§4.4)
  an unanswered call's id comes again     CALLERROR (§4.2.3)        the same call again is a      as second generation
                                                                    retry, any other gets a
                                                                    CALLERROR (§4.1.4 with
                                                                    errata 4.7, §4.2.3)
  answer that can't be processed          silence                   silence                       CALLRESULTERROR
  ======================================  ========================  ============================  =====================

Whoever knows which protocol version a connection has negotiated picks the `Rules`; nothing here does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

__all__ = ["FIRST_GENERATION", "SECOND_GENERATION", "SECOND_GENERATION_WITH_SEND", "Cause", "Rules", "cause_of"]

CALL = 2
CALL_RESULT = 3
CALL_ERROR = 4
CALL_RESULT_ERROR = 5
SEND = 6


class Cause(Enum):
    """Why a call, or the answer to one, could not be processed."""

    UNKNOWN_ACTION = "unknown action"
    UNSUPPORTED_ACTION = "action known but not supported"
    INTERNAL = "internal error"
    SECURITY = "security issue"
    MALFORMED_FRAME = "not a valid frame"
    MALFORMED_PAYLOAD = "payload is not valid JSON"
    WRONG_STRUCTURE = "payload does not have the structure of the action"
    MISSING_FIELD = "a required field is missing"
    VALUE = "a field has an invalid value"
    OCCURRENCE = "a field occurs too often or not often enough"
    TYPE = "a field has the wrong data type"
    UNKNOWN_MESSAGE_TYPE = "unknown message type number"
    DUPLICATE_ID = "a call with this message id is being processed"
    TOO_LARGE = "frame exceeds the size limit"
    TOO_MANY_CALLS = "too many calls are open"
    GENERIC = "other error"


_FIRST_GENERATION_CODES: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.UNKNOWN_ACTION: "NotImplemented",
        Cause.UNSUPPORTED_ACTION: "NotSupported",
        Cause.INTERNAL: "InternalError",
        Cause.SECURITY: "SecurityError",
        Cause.MALFORMED_FRAME: "FormationViolation",
        Cause.MALFORMED_PAYLOAD: "FormationViolation",
        Cause.WRONG_STRUCTURE: "FormationViolation",
        Cause.MISSING_FIELD: "ProtocolError",  # "Payload for Action is incomplete"
        Cause.VALUE: "PropertyConstraintViolation",
        Cause.OCCURRENCE: "OccurenceConstraintViolation",
        Cause.TYPE: "TypeConstraintViolation",
        Cause.UNKNOWN_MESSAGE_TYPE: "GenericError",  # never sent: §4.1.3 asks for silence
        Cause.DUPLICATE_ID: "GenericError",  # §4.2.3 names the situation and no code for it
        Cause.TOO_LARGE: "FormationViolation",
        Cause.TOO_MANY_CALLS: "GenericError",
        Cause.GENERIC: "GenericError",
    }
)

_SECOND_GENERATION_CODES: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.UNKNOWN_ACTION: "NotImplemented",
        Cause.UNSUPPORTED_ACTION: "NotSupported",
        Cause.INTERNAL: "InternalError",
        Cause.SECURITY: "SecurityError",
        Cause.MALFORMED_FRAME: "RpcFrameworkError",
        Cause.MALFORMED_PAYLOAD: "FormatViolation",
        Cause.WRONG_STRUCTURE: "ProtocolError",  # "not conform the PDU structure"
        Cause.MISSING_FIELD: "OccurrenceConstraintViolation",
        Cause.VALUE: "PropertyConstraintViolation",
        Cause.OCCURRENCE: "OccurrenceConstraintViolation",
        Cause.TYPE: "TypeConstraintViolation",
        Cause.UNKNOWN_MESSAGE_TYPE: "MessageTypeNotSupported",
        Cause.DUPLICATE_ID: "RpcFrameworkError",
        Cause.TOO_LARGE: "FormatViolation",  # no code of its own: what is not read counts as not well-formed
        Cause.TOO_MANY_CALLS: "GenericError",
        Cause.GENERIC: "GenericError",
    }
)


@dataclass(frozen=True, slots=True)
class Rules:
    """One flavour of the framework: what exists in it, how errors are spelled, and where it asks for silence.

    `codes` has an entry for every `Cause`. `unreadable_id` is the message id that stands for one that could not be
    read (None: such frames are met with silence). `refuses_unknown_types`: an unknown message type number gets a
    CALLERROR. `retry_may_reuse_id`: the same call under the same id, while the first is open, is a retry that the one
    pending answer serves.
    """

    message_types: frozenset[int]
    codes: Mapping[Cause, str]
    unreadable_id: str | None
    refuses_unknown_types: bool
    retry_may_reuse_id: bool
    message_id_max_length: int = 36
    description_max_length: int = 255

    def code(self, cause: Cause) -> str:
        """The CALLERROR code for a cause, as this flavour spells it."""
        return self.codes[cause]


FIRST_GENERATION = Rules(
    message_types=frozenset({CALL, CALL_RESULT, CALL_ERROR}),
    codes=_FIRST_GENERATION_CODES,
    unreadable_id=None,
    refuses_unknown_types=False,
    retry_may_reuse_id=False,
)
"""Three message types, silence toward what can't be identified (OCPP-J 1.6)."""

SECOND_GENERATION = Rules(
    message_types=frozenset({CALL, CALL_RESULT, CALL_ERROR}),
    codes=_SECOND_GENERATION_CODES,
    unreadable_id="-1",
    refuses_unknown_types=True,
    retry_may_reuse_id=True,
)
"""Three message types, an answer to everything that asks for one (OCPP-J 2.0.1)."""

SECOND_GENERATION_WITH_SEND = Rules(
    message_types=frozenset({CALL, CALL_RESULT, CALL_ERROR, CALL_RESULT_ERROR, SEND}),
    codes=_SECOND_GENERATION_CODES,
    unreadable_id="-1",
    refuses_unknown_types=False,
    retry_may_reuse_id=True,
)
"""Five message types; unknown ones are ignored (OCPP-J 2.1)."""


# Both spellings of the two misspelt codes are in the field (errata §5.1, §5.2): read either from anyone. Where several
# causes share a code, the most general one is listed.
_CAUSES: Mapping[str, Cause] = MappingProxyType(
    {
        "NotImplemented": Cause.UNKNOWN_ACTION,
        "NotSupported": Cause.UNSUPPORTED_ACTION,
        "InternalError": Cause.INTERNAL,
        "SecurityError": Cause.SECURITY,
        "RpcFrameworkError": Cause.MALFORMED_FRAME,
        "FormationViolation": Cause.MALFORMED_PAYLOAD,
        "FormatViolation": Cause.MALFORMED_PAYLOAD,
        "ProtocolError": Cause.WRONG_STRUCTURE,
        "PropertyConstraintViolation": Cause.VALUE,
        "OccurenceConstraintViolation": Cause.OCCURRENCE,
        "OccurrenceConstraintViolation": Cause.OCCURRENCE,
        "TypeConstraintViolation": Cause.TYPE,
        "MessageTypeNotSupported": Cause.UNKNOWN_MESSAGE_TYPE,
        "GenericError": Cause.GENERIC,
    }
)


def cause_of(code: str) -> Cause:
    """What a received CALLERROR code means; a code nobody has published is `Cause.GENERIC`."""
    return _CAUSES.get(code, Cause.GENERIC)
