"""Audit of requests, and `/audit`: who changed what, when, from where, with before and after.

Guarantees
* Whatever a request writes, the entry is written with it (`csms.auditing`); how it was answered is added after.
* `before` is what GET of the same path answers before a PUT, PATCH or DELETE, where there is such a GET.
"""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import get
from litestar.params import FromQuery, QueryParameter
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from forecourt.api.authentication import ApiScope, Caller, CallerContext
from forecourt.api.bodies import instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.api.serving import served_for, serving
from forecourt.csms import auditing
from forecourt.csms.auditing import AuditedStore, without_secrets
from forecourt.csms.people_records import ActorKind, AuditEntry

_HAVE_A_BEFORE: Final = frozenset({"PUT", "PATCH", "DELETE"})


class AuditResource(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody changed something, or tried to get in."""

    id: int
    at: datetime
    actor: ActorKind
    actor_id: str | None
    actor_name: str
    address: str | None
    operation: str
    """The operation's id in this description, such as `update_station`."""
    path: str
    status: int | None
    """How it was answered; null: it never was, yet what is written here was done."""
    request: Any
    """The body of the request, with secrets masked."""
    before: Any
    after: Any
    """What was answered."""


class AuditList(Listing, frozen=True, kw_only=True):
    """Entries, newest first."""

    items: tuple[AuditResource, ...]


def _show(entry: AuditEntry) -> AuditResource:
    return shown(AuditResource, entry)


@get("/audit", summary="Who changed what", responses=documented(), opt={"scope": ApiScope.ADMIN}, tags=["Audit"])
async def list_audit(
    context: CallerContext,
    actor_id: Filter = None,
    operation: Filter = None,
    path: Annotated[str | None, QueryParameter(max_length=1000, description="What paths begin with.")] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> AuditList:
    page = await auditing.list_audit(
        context,
        actor_id=actor_id,
        operation=operation,
        path=path,
        since=instant("since", since),
        until=instant("until", until),
        cursor=cursor,
        limit=limit,
    )
    return listing(AuditList, page, _show)


async def run_audited(app: ASGIApp, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
    """Run the operation with a store that takes the entry along, and complete the entry once it is answered."""
    method = scope.get("method")
    if method is None:
        await app(scope, receive, send)
        return
    context, client = caller.context, scope.get("client")
    store = AuditedStore(
        context.store,
        auditing.entry(
            context,
            caller.kind,
            caller.title,
            getattr(scope["route_handler"], "handler_name", ""),
            scope["path"].replace("\0", "/"),
            actor_id=caller.name,
            address=None if client is None else client[0],
        ),
    )
    scope["auth"] = msgspec.structs.replace(caller, context=msgspec.structs.replace(context, store=store))
    if method in _HAVE_A_BEFORE and caller.may(ApiScope.WRITE):
        before = await _before(scope)
        store.entry = msgspec.structs.replace(store.entry, before=None if before is None else msgspec.Raw(before))
    asked, answer = bytearray(), bytearray()
    status: int | None = None

    async def listening() -> Any:
        message = await receive()
        if message["type"] == "http.request" and len(asked) <= auditing.LONGEST:
            asked.extend(message.get("body", b""))
            if not message.get("more_body", False) and (kept := without_secrets(bytes(asked))) is not None:
                store.entry = msgspec.structs.replace(store.entry, request=msgspec.Raw(kept))
        return message

    async def noting(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body" and store.number is not None:
            if len(answer) <= auditing.LONGEST:
                answer.extend(message.get("body", b""))
            if status is not None and not message.get("more_body", False):
                await auditing.answered(context, store.number, status, without_secrets(bytes(answer)))
        await send(message)

    await app(scope, listening, noting)


async def _before(scope: Scope) -> bytes | None:
    """What GET of the same path answers, without secrets."""
    names = ("type", "asgi", "http_version", "scheme", "path", "raw_path", "client", "server")
    inner: Any = {name: scope.get(name) for name in names}
    headers = [pair for pair in scope["headers"] if pair[0] not in {b"content-length", b"content-type"}]
    inner |= {"method": "GET", "root_path": "", "query_string": b"", "headers": headers, "state": {}, "extensions": {}}
    body = bytearray()
    status = 0

    async def nothing() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def catch(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await served_for(scope["litestar_app"], serving(scope))(inner, nothing, catch)
    return without_secrets(bytes(body)) if status == 200 else None
