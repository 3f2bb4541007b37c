"""`/commands`, and `/stations/{id}/ocpp/{action}`: things asked of stations, typed and raw.

Guarantees
* A raw payload goes out as it came, blanks between its tokens aside: members in their order, duplicates and the
  spelling of numbers and texts untouched, without an opinion of ours.
* Typed commands are the table of `typed_commands`, one operation each.
"""

import inspect
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, Router, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg, FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import compact, instant
from forecourt.api.command_bodies import CommandBody
from forecourt.api.lifetime import CallerLifetime
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing
from forecourt.api.outcomes import (
    CommandResource,
    IdempotencyKey,
    Prefer,
    answer_command,
    documented_command,
    granted_wait_s,
    show_command,
    wait_for_end,
)
from forecourt.api.problems import documented
from forecourt.api.typed_commands import TYPED
from forecourt.csms import commands
from forecourt.csms.command_records import CommandState

CommandId = Annotated[str, PathParameter(max_length=100)]
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
Payload = Annotated[
    msgspec.Raw, BodyKwarg(description="The OCPP payload, sent as it is.", schema_extra={"type": "object"})
]


_FATE: Final = """
Answered with 202 as soon as the command is stored and waits for the station's socket; `location` is where its fate can
be read. With `prefer: wait=10` the answer comes when the command is final (200), or after so many seconds all the same.
409: the station isn't connected. The command is kept as `offline` and is not sent later.

It ends as `accepted` or `rejected`, which is the station's word; `call_error`: the station answered with an error;
`timeout`: it was sent, or may have been, and nobody knows whether it was carried out; `offline` or `expired`: it was
never sent. Accepted is not yet done: what follows (a transaction, a boot, a status) comes as an event of its own.
"""


class CommandList(Listing, frozen=True, kw_only=True):
    """Commands, newest first."""

    items: tuple[CommandResource, ...]


@get("/", summary="List commands", responses=documented(404))
async def list_commands(
    context: CallerContext,
    station_id: Filter = None,
    command_state: Annotated[CommandState | None, QueryParameter(name="state")] = None,
    id_token: Filter = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> CommandList:
    page = await commands.list_commands(
        context,
        station_id=station_id,
        state=command_state,
        id_token=id_token,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(CommandList, page, show_command)


@get("/{command_id:str}", summary="A command; `prefer: wait` waits for its end", responses=documented(404))
async def get_command(
    context: CallerContext, lifetime: CallerLifetime, command_id: CommandId, prefer: Prefer = None
) -> CommandResource:
    command = await commands.get_command(context, command_id)
    wait_s = granted_wait_s(prefer, lifetime.longest_wait_s)
    return show_command(command if wait_s is None else await wait_for_end(context, lifetime, command, wait_s))


def _typed(name: str, body: type[CommandBody]) -> HTTPRouteHandler:
    async def issue(
        context: CallerContext,
        lifetime: CallerLifetime,
        data: Any,
        prefer: Prefer = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response[CommandResource]:
        command = await data.issue(context, idempotency_key)
        return await answer_command(context, lifetime, command, prefer)

    issue.__annotations__["data"] = JSONBody[body]  # type: ignore[misc, valid-type]  # for the framework
    issue.__name__ = f"command_{name.lower()}"
    summary, _, more = inspect.cleandoc(body.__doc__ or name).partition("\n")
    decorate = post(
        f"/{name}",
        name=name,
        status_code=202,
        summary=summary,
        description=f"{more.strip()}\n{_FATE}".strip(),
        responses=documented_command(),
    )
    return decorate(issue)


@post(
    "/stations/{station_id:str}/ocpp/{action:str}",
    status_code=202,
    summary="Send an OCPP message as it is",
    description="The body is the payload of the CALL: it goes out with its members in their order and every number and "
    "text as it is spelt, only blanks between them are left out. Nothing checks it, so that it may be a message of "
    "another version, a vendor's own, or a wrong one on purpose. The station's payload stands in `answer`, verbatim.\n"
    + _FATE,
    responses=documented_command(),
    tags=["Commands"],
)
async def send_raw(
    context: CallerContext,
    lifetime: CallerLifetime,
    station_id: FromPath[str],
    action: FromPath[str],
    data: Payload,
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
    timeout_s: Annotated[float | None, QueryParameter(gt=0, le=86_400)] = None,
) -> Response[CommandResource]:
    command = await commands.issue_raw(
        context, station_id, action, compact(bytes(data)), timeout_s=timeout_s, idempotency_key=idempotency_key
    )
    return await answer_command(context, lifetime, command, prefer)


router = Router(
    "/commands",
    route_handlers=[list_commands, get_command, *(_typed(name, body) for name, body in TYPED.items())],
    tags=["Commands"],
)
