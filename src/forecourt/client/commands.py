"""Operations that ask something of stations. One that isn't connected gives a command that is `offline`, and no error.

With `wait_s` of the client's `do`, the answer is waited for.
"""

import uuid
from typing import Any, Final

import msgspec

from forecourt.client.operations import Listing, Operation, change, get, listing, with_headers
from forecourt.client.types import Batch, BatchItem, Command
from forecourt.csms.command_records import CommandState

_UNDELIVERED: Final = (409,)


def issue(name: str, body: dict[str, Any], *, idempotency_key: str | None = None) -> Operation[Command]:
    """A typed command, by its name in the API, such as `SET_VARIABLES`, and its body."""
    return _asked(change("POST", Command, "commands", name, body=body), idempotency_key)


def raw(
    station_id: str, action: str, payload: bytes | dict[str, Any], *, idempotency_key: str | None = None
) -> Operation[Command]:
    """An OCPP message as it is; bytes go out with their members and numbers as they are spelt."""
    text = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    asked = change("POST", Command, "stations", station_id, "ocpp", action, body=msgspec.Raw(text))
    return _asked(asked, idempotency_key)


def reset(station_id: str, *, immediate: bool = True, graceful: bool = True) -> Operation[Command]:
    """Restart a station: now, or when nothing charges."""
    kind = "Immediate" if immediate else "OnIdle"
    return issue("RESET", {"station_id": station_id, "reset_type": kind, "graceful": graceful})


def start_session(station_id: str, id_token: str, *, evse_id: int | None = None) -> Operation[Command]:
    """Start charging as if the token had been presented."""
    return issue("START_SESSION", {"station_id": station_id, "id_token": {"value": id_token}, "evse_id": evse_id})


def stop_session(transaction_number: int) -> Operation[Command]:
    """End a transaction."""
    return issue("STOP_SESSION", {"transaction_number": transaction_number})


def unlock_connector(station_id: str, evse_id: int, connector_id: int = 1) -> Operation[Command]:
    """Let go of the plug."""
    body = {"station_id": station_id, "evse_id": evse_id, "connector_id": connector_id}
    return issue("UNLOCK_CONNECTOR", body)


def change_availability(station_id: str, operative: bool, *, evse_id: int = 0) -> Operation[Command]:
    """Take the station (EVSE 0) or an EVSE into or out of use."""
    status = "Operative" if operative else "Inoperative"
    return issue("CHANGE_AVAILABILITY", {"station_id": station_id, "evse_id": evse_id, "operational_status": status})


def trigger_message(station_id: str, message: str, *, evse_id: int | None = None) -> Operation[Command]:
    """Make a station say something now."""
    return issue("TRIGGER_MESSAGE", {"station_id": station_id, "requested_message": message, "evse_id": evse_id})


def clear_cache(station_id: str) -> Operation[Command]:
    """Make a station forget the tokens that it has cached."""
    return issue("CLEAR_CACHE", {"station_id": station_id})


def get_command(command_id: str) -> Operation[Command]:
    """A command."""
    return get(Command, "commands", command_id)


def list_commands(
    *, station_id: str | None = None, state: CommandState | None = None, limit: int = 200
) -> Listing[Command]:
    """Commands, newest first."""
    return listing(Command, "commands", station_id=station_id, state=state, limit=limit)


def batch(selector: dict[str, Any], name: str, parameters: dict[str, Any], **options: Any) -> Operation[Batch]:
    """A typed command for many stations; options are `concurrency`, `rate_per_s`, `timeout_s`."""
    body = {"selector": selector, "command": name, "parameters": parameters, **options}
    asked = change("POST", Batch, "commands", "batch", body=body)
    return with_headers(asked, {"idempotency-key": str(uuid.uuid4())})


def get_batch(batch_id: str) -> Operation[Batch]:
    """A batch, with how many of its stations ended how."""
    return get(Batch, "command-batches", batch_id)


def list_batch_items(batch_id: str, *, limit: int = 200) -> Listing[BatchItem]:
    """A batch's stations."""
    return listing(BatchItem, "command-batches", batch_id, "items", limit=limit)


def _asked(operation: Operation[Command], idempotency_key: str | None) -> Operation[Command]:
    key = idempotency_key or str(uuid.uuid4())
    return msgspec.structs.replace(with_headers(operation, {"idempotency-key": key}), as_result=_UNDELIVERED)
