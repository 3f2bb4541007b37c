"""`/webhooks`: whom we tell of events by HTTP, and what became of each delivery. The secret is shown once."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from forecourt.api.authentication import PREFIX, ApiScope, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Text, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import webhooks
from forecourt.csms.people_records import Delivery, DeliveryState, Webhook
from forecourt.csms.webhooks import WebhookChanges

WebhookId = Annotated[str, PathParameter(max_length=100)]
DeliveryNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY)]
Url = Annotated[str, Meta(min_length=1, max_length=2000)]
EventTypes = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...], Meta(min_length=1)]


class WebhookBody(Asked, frozen=True, kw_only=True):
    """Whom to tell, and of what."""

    url: Url
    """https://…"""
    event_types: EventTypes | None = None
    """Null: of everything that is logged."""
    note: Text | None = None


class WebhookPatch(Asked, frozen=True, kw_only=True):
    """What to change of a webhook; what isn't there stays."""

    url: Url | UnsetType = UNSET
    event_types: EventTypes | UnsetType | None = UNSET
    active: bool | UnsetType = UNSET
    note: Text | UnsetType | None = UNSET


class WebhookResource(msgspec.Struct, frozen=True, kw_only=True):
    """Whom we tell."""

    id: str
    url: str
    event_types: tuple[str, ...] | None
    active: bool
    note: str | None
    created_at: datetime
    updated_at: datetime


class NewWebhook(WebhookResource, frozen=True, kw_only=True):
    """A webhook that was just made."""

    secret: str
    """What deliveries are signed with; it is never shown again."""


class WebhookSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What deliveries are signed with."""

    secret: str


class WebhookList(Listing, frozen=True, kw_only=True):
    """Webhooks."""

    items: tuple[WebhookResource, ...]


class DeliveryResource(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one webhook."""

    number: int
    event_id: int
    event_type: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


class DeliveryList(Listing, frozen=True, kw_only=True):
    """Deliveries, newest first."""

    items: tuple[DeliveryResource, ...]


def _show(webhook: Webhook) -> WebhookResource:
    return shown(WebhookResource, webhook)


def _show_delivery(delivery: Delivery) -> DeliveryResource:
    return shown(DeliveryResource, delivery)


@get("/", summary="List webhooks", responses=documented())
async def list_webhooks(context: CallerContext, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> WebhookList:
    return listing(WebhookList, await webhooks.list_webhooks(context, cursor=cursor, limit=limit), _show)


@post("/", summary="Make a webhook, told of what happens from now on", responses=documented(408, 413, 415))
async def create_webhook(context: CallerContext, data: JSONBody[WebhookBody]) -> Response[NewWebhook]:
    webhook, secret = await webhooks.create_webhook(context, data.url, data.event_types, data.note)
    headers = {"location": f"{PREFIX}/webhooks/{webhook.id}", "cache-control": "no-store"}
    return Response(shown(NewWebhook, webhook, secret=secret), status_code=201, headers=headers)


@get("/{webhook_id:str}", summary="A webhook", responses=documented(404))
async def get_webhook(context: CallerContext, webhook_id: WebhookId) -> WebhookResource:
    return _show(await webhooks.get_webhook(context, webhook_id))


@patch("/{webhook_id:str}", summary="Change a webhook", responses=documented(404, 408, 413, 415))
async def update_webhook(
    context: CallerContext, webhook_id: WebhookId, data: JSONBody[WebhookPatch]
) -> WebhookResource:
    changes = WebhookChanges(**msgspec.structs.asdict(data))
    return _show(await webhooks.update_webhook(context, webhook_id, changes))


@delete("/{webhook_id:str}", summary="Take a webhook out, with its deliveries", responses=documented(404))
async def remove_webhook(context: CallerContext, webhook_id: WebhookId) -> None:
    await webhooks.remove_webhook(context, webhook_id)


@post(
    "/{webhook_id:str}/secret",
    status_code=200,
    summary="Make a new secret for whatever is sent from now on",
    responses=documented(404),
)
async def renew_webhook_secret(context: CallerContext, webhook_id: WebhookId) -> Response[WebhookSecret]:
    secret = await webhooks.renew_secret(context, webhook_id)
    return Response(WebhookSecret(secret=secret), headers={"cache-control": "no-store"})


@get("/{webhook_id:str}/deliveries", summary="A webhook's deliveries", responses=documented(404))
async def list_deliveries(
    context: CallerContext,
    webhook_id: WebhookId,
    delivery_state: Annotated[DeliveryState | None, QueryParameter(name="state")] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> DeliveryList:
    page = await webhooks.list_deliveries(
        context,
        webhook_id,
        state=delivery_state,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(DeliveryList, page, _show_delivery)


@post(
    "/{webhook_id:str}/deliveries/{number:int}/resend",
    status_code=200,
    summary="Send a delivery again, now",
    responses=documented(404, 409),
)
async def resend_delivery(context: CallerContext, webhook_id: WebhookId, number: DeliveryNumber) -> DeliveryResource:
    return _show_delivery(await webhooks.resend(context, webhook_id, number))


router = Router(
    "/webhooks",
    route_handlers=[
        list_webhooks,
        create_webhook,
        get_webhook,
        update_webhook,
        remove_webhook,
        renew_webhook_secret,
        list_deliveries,
        resend_delivery,
    ],
    tags=["Webhooks"],
    opt={"scope": ApiScope.ADMIN},
)
