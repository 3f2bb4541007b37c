"""Commands as they are answered: at once, or after a wait for their end (RFC 7240 `Prefer: wait`).

Guarantees
* 202 with `location` while a command is under way; 200 once it is final; 409 where it never left for the station
  (`offline`, `expired`): a problem that has all members of the stored command as well.
* A wait ends with the command, after the time granted, or with the server, whichever comes first.
* What the station answered, and what was sent to it, stand in the resource byte for byte, but for passwords.
"""

import asyncio
import re
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter
from msgspec import UNSET, UnsetType

from forecourt.api.authentication import PREFIX
from forecourt.api.lifetime import Lifetime
from forecourt.api.lists import shown
from forecourt.api.problems import MEDIA_TYPE, FieldError, documented
from forecourt.csms import commands
from forecourt.csms.command_records import Command, CommandOrigin, CommandState
from forecourt.csms.masking import settings_masked
from forecourt.csms.ports import Context

Prefer = Annotated[
    str | None,
    HeaderParameter(name="prefer", max_length=255, description="`wait=10`: wait for the end, so many seconds."),
]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="idempotency-key",
        min_length=1,
        max_length=255,
        description="A name of your choosing for this request. Sent again with the same key, it gives the command of "
        "the first time instead of a second one; the key with any other request is refused with 409.",
    ),
]

_WAIT: Final = re.compile(r"""(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?=$|[,;])""", re.IGNORECASE)
NEVER_LEFT: Final = frozenset({CommandState.OFFLINE, CommandState.EXPIRED})


class CommandResource(msgspec.Struct, frozen=True, kw_only=True):
    """Something asked of a station, and what became of it."""

    id: str
    station_id: str
    origin: CommandOrigin
    name: str
    """Of a typed command its request, such as RequestStartTransaction; of a raw one its action on the wire."""
    raw: bool
    request: msgspec.Raw
    """Typed: the request. Raw: the payload as it was given."""
    state: CommandState
    timeout_s: float
    idempotency_key: str | None
    action: str | None
    """The action on the wire, once sent."""
    payload: Any
    """The payload on the wire, once sent."""
    message_id: str | None
    answer: Any
    """The station's answer, verbatim: the payload of its result, or the details of its error."""
    result: Any
    """The same in our terms; null where it was an error or can't be put so."""
    error_code: str | None
    error_description: str | None
    detail: str | None
    """A sentence on why it ended as it did, where the state alone doesn't say."""
    transaction_number: int | None
    """The transaction that followed, or that it was about."""
    id_token: str | None
    """The token that it was about, in small letters."""
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None


class UndeliveredCommand(CommandResource, frozen=True, kw_only=True):
    """A stored command that never left for its station, as a problem (RFC 9457 with the command's members)."""

    type: str = "about:blank"
    title: str = HTTPStatus.CONFLICT.phrase
    status: int = HTTPStatus.CONFLICT


class CommandConflict(msgspec.Struct, frozen=True, kw_only=True):
    """A problem (RFC 9457). Of a command that never left it has the members of the command as well."""

    type: str
    title: str
    status: int
    detail: str | None
    errors: tuple[FieldError, ...] | UnsetType = UNSET
    """Not of a stored command."""
    id: str | UnsetType = UNSET
    station_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    state: CommandState | UnsetType = UNSET


def documented_command(*statuses: int) -> dict[int, ResponseSpec]:
    """The answers of an operation that makes a command, for its description."""
    responses = documented(404, 408, 413, 415, *statuses)
    responses[200] = ResponseSpec(
        data_container=CommandResource, generate_examples=False, description="The command, which is final"
    )
    responses[409] = ResponseSpec(
        data_container=CommandConflict,
        generate_examples=False,
        description="The station isn't connected; the command is stored. Or the idempotency key names another one",
        media_type=MEDIA_TYPE,
    )
    return responses


def show_command(command: Command) -> CommandResource:
    """As the API shows it."""
    return shown(CommandResource, command, **_verbatim(command))


async def answer_command(
    context: Context, lifetime: Lifetime, command: Command, prefer: str | None
) -> Response[CommandResource]:
    """The answer to whoever made `command`, after the wait that `prefer` asks for."""
    wait_s = granted_wait_s(prefer, lifetime.longest_wait_s)
    headers = {"location": f"{PREFIX}/commands/{command.id}"}
    if wait_s is not None:
        headers["preference-applied"] = f"wait={wait_s:g}"
        command = await wait_for_end(context, lifetime, command, wait_s)
    if command.state in NEVER_LEFT:
        shown_as = shown(
            UndeliveredCommand,
            command,
            **_verbatim(command),
            type="about:blank",
            title=HTTPStatus.CONFLICT.phrase,
            status=int(HTTPStatus.CONFLICT),
        )
        return Response(shown_as, status_code=HTTPStatus.CONFLICT, media_type=MEDIA_TYPE, headers=headers)
    status = HTTPStatus.OK if command.state.final else HTTPStatus.ACCEPTED
    return Response(show_command(command), status_code=status, headers=headers)


async def wait_for_end(context: Context, lifetime: Lifetime, command: Command, wait_s: float) -> Command:
    """The command as it is when it is final, when `wait_s` has passed, or when the server stops."""
    if command.state.final:
        return command
    waiting = asyncio.ensure_future(commands.wait(context, command.id, wait_s))
    return await lifetime.unless_stopping(waiting) or await commands.get_command(context, command.id)


def granted_wait_s(prefer: str | None, longest_wait_s: float) -> float | None:
    """How long to wait; None: not at all. A preference that can't be read is no preference (RFC 7240 §2)."""
    match = _WAIT.search(prefer or "")
    return None if match is None else min(float(match[1]), longest_wait_s)


def _verbatim(command: Command) -> dict[str, msgspec.Raw | None]:
    return {
        name: None if value is None else msgspec.Raw(settings_masked(value))
        for name in ("request", "payload", "answer", "result")
        for value in (getattr(command, name),)
    }
