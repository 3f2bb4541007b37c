"""The API's nouns, and what can be done with each: one description serves the client and the command line.

    csms.all(nouns.FIRMWARE_JOBS.list(station_id="CS-1", state="failed"))
    csms.do(nouns.TARIFFS.create({"currency": "EUR", "elements": […]}))
    csms.do(nouns.FIRMWARE_JOBS.act(7, "cancel"))
    csms.all(nouns.INSTALLED_CERTIFICATES.of("CS-1").list())

Guarantees
* A noun offers what the API has for it, with the same filters (a test compares them); what isn't offered is a TypeError
  or a ValueError here, before anything is asked.
"""

from typing import Any, Final, Generic, TypeVar

import msgspec

from forecourt.client import money_types as money
from forecourt.client import people_types as people
from forecourt.client import resource_types as resources
from forecourt.client import site_types as sites
from forecourt.client import types
from forecourt.client.operations import Listing, Operation, change, get, listing, params_of, path_of
from forecourt.client.types import Answer, Batch, Command, Location, Token, Transaction

T = TypeVar("T")

_CREATED: Final = ("created_from", "created_to")
_STARTED: Final = ("started_from", "started_to")
_SPAN: Final = ("since", "until")
OCTETS: Final = "application/octet-stream"


class Secret(Answer, frozen=True, kw_only=True):
    """Something that is shown this once."""

    secret: str


class OneTimePassword(Answer, frozen=True, kw_only=True):
    """What a person signs in with, once."""

    one_time_password: str


class Noun(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Things of one kind; `{}` in `path` stands for what they belong to."""

    kind: type[T]
    path: str
    filters: tuple[str, ...] = ()
    verbs: frozenset[str] = frozenset({"list", "get"})
    """Of list, get, create, replace, update, remove."""
    made: type[Any] | None = None
    """What `create` gives, where that is more than the thing."""
    removed: type[Any] = type(None)
    """What `remove` gives: a command, where a station has to be asked."""
    actions: dict[str, type[Any]] = {}
    """What else can be done with one, by the end of its path, and what that gives."""
    key: str = "number"
    """The field that names one."""
    parents: tuple[str | int, ...] = ()

    def of(self, *parents: str | int) -> "Noun[T]":
        """Those that belong to this."""
        if len(parents) != self.path.count("{}"):
            raise TypeError(f"{self.path} takes {self.path.count('{}')} names")
        return msgspec.structs.replace(self, parents=parents)

    def list(self, **filters: Any) -> Listing[T]:
        """All of them, newest first; None leaves a filter out."""
        unknown = filters.keys() - {*self.filters, "limit"}
        if unknown:
            raise TypeError(f"{self.path} has no filter {min(unknown)}; it has {', '.join(self.filters) or 'none'}")
        self._check("list")
        return listing(self.kind, *self._parts(), **filters)

    def get(self, key: str | int) -> Operation[T]:
        """One of them."""
        self._check("get")
        return get(self.kind, *self._parts(), key)

    def create(self, body: Any, *, idempotency_key: str | None = None) -> Operation[Any]:
        """Enter one: what it has to say is in the API's description."""
        self._check("create")
        operation = change("POST", self.made or self.kind, *self._parts(), body=body)
        headers = {} if idempotency_key is None else {"idempotency-key": idempotency_key}
        return msgspec.structs.replace(operation, headers=headers)

    def replace(self, key: str | int, body: Any) -> Operation[T]:
        """Enter one anew."""
        self._check("replace")
        return change("PUT", self.kind, *self._parts(), key, body=body)

    def update(self, key: str | int, **fields: Any) -> Operation[T]:
        """Change these fields."""
        self._check("update")
        return change("PATCH", self.kind, *self._parts(), key, body=fields)

    def remove(self, key: str | int) -> Operation[Any]:
        """Take one out."""
        self._check("remove")
        return change("DELETE", self.removed, *self._parts(), key)

    def act(self, key: str | int, action: str, body: Any = None) -> Operation[Any]:
        """Do what the action's name says."""
        if action not in self.actions:
            raise ValueError(f"{self.path} can't be asked to {action}; known are {', '.join(self.actions) or 'none'}")
        return change("POST", self.actions[action], *self._parts(), key, action, body=body)

    def _check(self, verb: str) -> None:
        if verb not in self.verbs:
            raise ValueError(f"{self.path} has no {verb}")

    def _parts(self) -> tuple[str | int, ...]:
        parents = list(self.parents)
        if len(parents) < self.path.count("{}"):
            raise TypeError(f"{self.path}: say of what it is, with `of`")
        return tuple(parents.pop(0) if part == "{}" else part for part in self.path.split("/"))


def _verbs(*more: str) -> frozenset[str]:
    return frozenset({"list", "get", *more})


_KEPT: Final = _verbs("create", "replace", "remove")

LOCATIONS: Final = Noun(kind=Location, path="locations", verbs=_KEPT, key="id")
TOKENS: Final = Noun(
    kind=Token,
    path="tokens",
    filters=("group", "type", "standing", *_CREATED),
    verbs=_verbs("replace", "remove"),
    key="value",
)
TRANSACTIONS: Final = Noun(
    kind=Transaction,
    path="transactions",
    filters=("station_id", "id_token", "transaction_id", "state", "orphan", *_STARTED),
    actions={"close": Transaction},
)
METER_VALUES: Final = Noun(
    kind=resources.Reading, path="transactions/{}/meter-values", filters=_SPAN, verbs=frozenset({"list"}), key="at"
)
COMMANDS: Final = Noun(kind=Command, path="commands", filters=("station_id", "state", "id_token", *_CREATED), key="id")
BATCHES: Final = Noun(
    kind=Batch, path="command-batches", filters=("state", *_CREATED), actions={"cancel": Batch}, key="id"
)
RESERVATIONS: Final = Noun(
    kind=resources.Reservation,
    path="reservations",
    filters=("station_id", "id_token", "reservation_id", "state", *_CREATED),
    verbs=_verbs("remove"),
    removed=Command,
)
CHARGING_PROFILES: Final = Noun(
    kind=resources.ChargingProfileOnStation,
    path="charging-profiles",
    filters=("station_id", "profile_id", "state", *_CREATED),
    verbs=_verbs("create", "remove"),
    made=Command,
    removed=Command,
)
STORED_PROFILES: Final = Noun(kind=resources.StoredProfile, path="charging-profiles/stored", verbs=_KEPT)
PROFILE_ASSIGNMENTS: Final = Noun(
    kind=resources.ProfileAssignment,
    path="charging-profiles/assignments",
    filters=("station_id", "state", *_CREATED),
    verbs=_verbs("create", "remove"),
    removed=resources.ProfileAssignment,
)
LOAD_GROUPS: Final = Noun(kind=resources.LoadGroup, path="load-groups", verbs=_KEPT)
FIRMWARE_IMAGES: Final = Noun(
    kind=resources.FirmwareImage, path="firmware-images", filters=_CREATED, verbs=_verbs("replace", "remove")
)
FIRMWARE_JOBS: Final = Noun(
    kind=resources.FirmwareJob,
    path="firmware-jobs",
    filters=("station_id", "request_id", "state", *_CREATED),
    verbs=_verbs("create"),
    actions={"cancel": resources.FirmwareJob},
)
LOG_JOBS: Final = Noun(
    kind=resources.LogJob,
    path="log-jobs",
    filters=("station_id", "request_id", "state", *_CREATED),
    verbs=_verbs("create", "remove"),
    actions={"cancel": resources.LogJob},
)
CERTIFICATES: Final = Noun(
    kind=resources.Certificate,
    path="certificates",
    filters=("station_id", "serial_number", "use", "state", "expires_before", *_CREATED),
    actions={"revoke": resources.Certificate},
)
CONTRACT_CERTIFICATES: Final = Noun(
    kind=resources.ContractCertificate,
    path="contract-certificates",
    filters=("station_id", "id_token", "serial_number", "state", "expires_before", *_CREATED),
)
INSTALLED_CERTIFICATES: Final = Noun(
    kind=resources.InstalledCertificate,
    path="stations/{}/certificates",
    verbs=frozenset({"list", "create", "remove"}),
    made=Command,
    removed=Command,
)
LOCAL_LIST_VERSIONS: Final = Noun(
    kind=resources.LocalListVersion,
    path="stations/{}/local-list/versions",
    verbs=frozenset({"list"}),
    key="revision",
)
VIOLATIONS: Final = Noun(
    kind=resources.Violation,
    path="stations/{}/violations",
    filters=("action", *_SPAN),
    verbs=frozenset({"list"}),
    key="id",
)
SECURITY_EVENTS: Final = Noun(
    kind=resources.SecurityEvent,
    path="security-events",
    filters=("station_id", "type", "origin", "critical", *_CREATED),
)
MESSAGES: Final = Noun(
    kind=resources.OcppMessage,
    path="ocpp-messages",
    filters=("station_id", "action", "message_id", "direction", "text", *_SPAN),
    verbs=frozenset({"list"}),
    key="id",
)
TARIFFS: Final = Noun(kind=money.Tariff, path="tariffs", verbs=_KEPT, key="id")
TARIFF_ASSIGNMENTS: Final = Noun(
    kind=money.TariffAssignment, path="tariffs/{}/assignments", verbs=frozenset({"list", "create", "remove"})
)
SESSIONS: Final = Noun(
    kind=money.Session,
    path="sessions",
    filters=("station_id", "id_token", "state", *_STARTED),
    actions={"release": money.Cdr, "void": money.Session},
    key="id",
)
CDRS: Final = Noun(
    kind=money.Cdr,
    path="cdrs",
    filters=("station_id", "id_token", "session_id", *_CREATED),
    actions={"credit": money.Cdr},
    key="id",
)
PAYMENTS: Final = Noun(
    kind=money.Payment,
    path="payments",
    filters=("station_id", "id_token", "session_id", "state", *_CREATED),
    verbs=_verbs("create"),
    actions={"cancel": money.Payment, "retry": money.Payment},
    key="id",
)
SITES: Final = Noun(
    kind=sites.SiteSummary,
    path="sites",
    verbs=frozenset({"list", "create", "remove"}),
    made=sites.NewSite,
    actions={"key": sites.NewSite},
    key="id",
)
SITE_RECORDS: Final = Noun(
    kind=sites.SiteEntry,
    path="sites/{}/records",
    filters=("kind", *_SPAN),
    verbs=frozenset({"list"}),
    key="id",
)
SITE_ORDERS: Final = Noun(kind=sites.SiteOrder, path="sites/{}/orders", verbs=frozenset({"list"}), key="id")
USERS: Final = Noun(
    kind=types.User,
    path="users",
    verbs=_verbs("create", "update", "remove"),
    made=people.NewUser,
    actions={"one-time-password": OneTimePassword},
    key="id",
)
ORGANISATIONS: Final = Noun(
    kind=people.Organisation,
    path="organisations",
    verbs=frozenset({"list", "create", "update"}),
    made=people.NewOrganisation,
    key="id",
)
API_KEYS: Final = Noun(
    kind=people.ApiKey,
    path="api-keys",
    verbs=frozenset({"list", "create", "remove"}),
    made=people.NewApiKey,
    key="id",
)
WEBHOOKS: Final = Noun(
    kind=people.Webhook,
    path="webhooks",
    verbs=_verbs("create", "update", "remove"),
    made=people.NewWebhook,
    actions={"secret": Secret},
    key="id",
)
DELIVERIES: Final = Noun(
    kind=people.Delivery,
    path="webhooks/{}/deliveries",
    filters=("state", *_CREATED),
    verbs=frozenset({"list"}),
    actions={"resend": people.Delivery},
)
AUDIT: Final = Noun(
    kind=people.AuditEntry,
    path="audit",
    filters=("actor_id", "operation", "path", *_SPAN),
    verbs=frozenset({"list"}),
    key="id",
)

NOUNS: Final[dict[str, Noun[Any]]] = {
    name.lower().replace("_", "-"): value for name, value in list(globals().items()) if isinstance(value, Noun)
}
"""By the names that the command line calls them."""


# What isn't JSON


def get_site(site_id: int) -> Operation[sites.Site]:
    """A site, whole: circuits, readings, allocations, plan."""
    return get(sites.Site, "sites", site_id)


def get_local_list(station_id: str) -> Operation[resources.LocalList]:
    """What a station's local list shall be, and what the station says of it."""
    return get(resources.LocalList, "stations", station_id, "local-list")


def upload_image(name: str, content: bytes, *, sha256: str | None = None) -> Operation[resources.FirmwareImage]:
    """Keep an image of firmware; with `sha256` it is refused unless that is its hash."""
    return Operation(
        method="POST",
        path=path_of("firmware-images"),
        kind=resources.FirmwareImage,
        params=params_of(name=name, sha256=sha256),
        body=content,
        headers={"content-type": OCTETS},
    )


def get_log(number: int) -> Operation[bytes]:
    """The file that a station has uploaded for a log job."""
    return get(bytes, "log-jobs", number, "file")


def get_receipt(cdr_id: int) -> Operation[bytes]:
    """A CDR's receipt, as text (UTF-8)."""
    return get(bytes, "cdrs", cdr_id, "receipt.txt")


def export(name: str, **filters: Any) -> Operation[bytes]:
    """A table of everything, such as `cdrs.csv` or `meter-values.parquet`."""
    return get(bytes, "exports", name, **filters)
