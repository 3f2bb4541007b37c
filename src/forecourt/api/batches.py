"""`/commands/batch` and `/command-batches`: one command for many stations, and how it goes."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, Router, get, post
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Name, StationId, Timeout, instant
from forecourt.api.command_bodies import StationCommandBody
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Limit, Listing, listing, shown
from forecourt.api.outcomes import IdempotencyKey
from forecourt.api.problems import documented, explain
from forecourt.api.typed_commands import TYPED, SetChargingProfileCommand
from forecourt.csms import batches
from forecourt.csms.batches import BatchFields
from forecourt.csms.errors import Invalid
from forecourt.csms.masking import settings_masked
from forecourt.csms.people_records import Batch, BatchItem, BatchState, Selector
from forecourt.domain.profile import ChargingProfile
from forecourt.domain.requests import CsmsRequest, SetChargingProfile

BatchId = Annotated[str, PathParameter(max_length=100)]
_ANY_STATION: Final = "*"


class SelectorBody(Asked, frozen=True, kw_only=True):
    """Which stations; everything that is given must hold, and something must be given."""

    station_ids: Annotated[tuple[StationId, ...], Meta(min_length=1, max_length=10_000)] | None = None
    location_id: Annotated[int, Meta(ge=1, le=LARGEST_KEY)] | None = None
    vendor: Name | None = None
    model: Name | None = None
    firmware_version: Name | None = None
    connected: bool | None = None


class RawCommandBody(Asked, frozen=True, kw_only=True):
    """An OCPP message as it is."""

    action: Annotated[str, Meta(min_length=1, max_length=64)]
    payload: dict[str, Any]


class BatchBody(Asked, frozen=True, kw_only=True):
    """One command for many stations: a typed one by `command` and `parameters`, or a `raw` one."""

    selector: SelectorBody
    command: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    """As in the path of a typed command, such as RESET."""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    """The body of that command without its `station_id`."""
    raw: RawCommandBody | None = None
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 10
    """How many are under way at a time."""
    rate_per_s: Annotated[float, Meta(gt=0, le=1000)] | None = None
    """How many are begun in a second; null: as fast as `concurrency` allows."""
    timeout_s: Timeout | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.command is None) == (self.raw is None):
            raise ValueError("command: is needed, or else raw")

    def fields(self) -> BatchFields:
        """For the books. Raises Invalid."""
        name, request = (self.raw.action, msgspec.json.encode(self.raw.payload)) if self.raw else self._typed()
        return BatchFields(
            name=name,
            raw=self.raw is not None,
            request=request,
            selector=msgspec.convert(self.selector, Selector, from_attributes=True),
            timeout_s=self.timeout_s,
            concurrency=self.concurrency,
            rate_per_s=self.rate_per_s,
        )

    def _typed(self) -> tuple[str, bytes]:
        name = self.command or ""
        body = TYPED.get(name)
        if body is None:
            raise Invalid("command", f"{name!r} is none of {', '.join(sorted(TYPED))}")
        own_issue = body.issue is not StationCommandBody.issue and body is not SetChargingProfileCommand
        if own_issue or not issubclass(body, StationCommandBody):
            raise Invalid("command", f"{name} can't be for many stations at once")
        for member in ("station_id", "timeout_s"):
            if member in self.parameters:
                raise Invalid(f"parameters.{member}", "stands beside `parameters`, for all of them")
        try:
            asked = msgspec.convert({**self.parameters, "station_id": _ANY_STATION}, body)
        except msgspec.ValidationError as error:
            field, message = explain(str(error))
            raise Invalid(f"parameters.{field}", message) from error
        return name, msgspec.json.encode(_request(asked))


def _request(asked: StationCommandBody) -> CsmsRequest:
    if isinstance(asked, SetChargingProfileCommand):
        profile = msgspec.convert(asked.profile, ChargingProfile, from_attributes=True)
        return SetChargingProfile(evse_id=asked.evse_id, profile=profile)
    return asked.request()


class BatchResource(msgspec.Struct, frozen=True, kw_only=True):
    """One command for many stations."""

    id: str
    command: str
    """Typed: its name. Raw: the action."""
    raw: bool
    request: msgspec.Raw
    selector: Selector
    timeout_s: float | None
    concurrency: int
    rate_per_s: float | None
    state: BatchState
    total: int
    counts: dict[str, int]
    """How many stations ended how, by the state of their command; `waiting`, `under_way` for those that haven't,
    `failed` for those that no command could be made for."""
    created_at: datetime
    finished_at: datetime | None


class BatchItemResource(msgspec.Struct, frozen=True, kw_only=True):
    """One station of a batch."""

    station_id: str
    command_id: str | None
    """Null: its turn hasn't come, or there is no command."""
    outcome: str | None
    """The command's final state, or `failed`; null while there is none."""
    detail: str | None


class BatchList(Listing, frozen=True, kw_only=True):
    """Batches, newest first."""

    items: tuple[BatchResource, ...]


class BatchItemList(Listing, frozen=True, kw_only=True):
    """A batch's stations, in the order of their turns."""

    items: tuple[BatchItemResource, ...]


def _show(found: tuple[Batch, dict[str, int]]) -> BatchResource:
    batch, counts = found
    request = msgspec.Raw(settings_masked(batch.request))
    return shown(BatchResource, batch, command=batch.name, request=request, counts=counts)


def _show_item(item: BatchItem) -> BatchItemResource:
    return shown(BatchItemResource, item)


@post(
    "/commands/batch",
    status_code=202,
    summary="Ask the same of many stations",
    description="Answered as soon as the batch is stored; which stations it is for is settled by then. `location` is "
    "where its progress can be read. It goes on after a restart, and asks no station twice.",
    responses=documented(404, 408, 409, 413, 415),
    tags=["Commands"],
)
async def create_batch(
    context: CallerContext, data: JSONBody[BatchBody], idempotency_key: IdempotencyKey = None
) -> Response[BatchResource]:
    batch = await batches.create_batch(context, data.fields(), idempotency_key=idempotency_key)
    found = await batches.get_batch(context, batch.id)
    headers = {"location": f"{PREFIX}/command-batches/{batch.id}"}
    return Response(_show(found), status_code=HTTPStatus.ACCEPTED, headers=headers)


@get("/", summary="List batches", responses=documented())
async def list_batches(
    context: CallerContext,
    batch_state: Annotated[BatchState | None, QueryParameter(name="state")] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> BatchList:
    page = await batches.list_batches(
        context,
        state=batch_state,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(BatchList, page, _show)


@get("/{batch_id:str}", summary="A batch, with how many stations ended how", responses=documented(404))
async def get_batch(context: CallerContext, batch_id: BatchId) -> BatchResource:
    return _show(await batches.get_batch(context, batch_id))


@get("/{batch_id:str}/items", summary="A batch's stations", responses=documented(404))
async def list_batch_items(
    context: CallerContext, batch_id: BatchId, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> BatchItemList:
    page = await batches.list_items(context, batch_id, cursor=cursor, limit=limit)
    return listing(BatchItemList, page, _show_item)


@post(
    "/{batch_id:str}/cancel",
    status_code=200,
    summary="Begin no more commands of a batch",
    responses=documented(404, 409),
)
async def cancel_batch(context: CallerContext, batch_id: BatchId) -> BatchResource:
    await batches.cancel_batch(context, batch_id)
    return _show(await batches.get_batch(context, batch_id))


router = Router(
    "/command-batches",
    route_handlers=[list_batches, get_batch, list_batch_items, cancel_batch],
    tags=["Commands"],
)
