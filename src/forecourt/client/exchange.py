"""What both clients do alike: requests made, answers read, another attempt decided on, event streams read.

Guarantees
* Only what is repeatable is tried again: without an answer, or with 429, 502, 503 or 504; `retry-after` is heeded.
* An event stream goes on after the last event that had an id; nothing logged is missed, or comes twice.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

import httpx
import msgspec

from forecourt.client.errors import ApiError, Unreachable, error_of
from forecourt.client.operations import PREFIX, Operation, params_of
from forecourt.client.types import Event

T = TypeVar("T")

ATTEMPTS: Final = 4
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 30.0
_AGAIN: Final = frozenset({429, 502, 503, 504})
_LONGEST_TIMEOUT_S: Final = 15.0


def arguments(operation: Operation[Any], wait_s: float | None) -> dict[str, Any]:
    """For httpx."""
    headers = dict(operation.headers)
    if operation.body is not None and "content-type" not in headers:
        headers["content-type"] = "application/json"
    if wait_s is not None:
        headers["prefer"] = f"wait={wait_s:.0f}"
    return {
        "method": operation.method,
        "url": operation.path,
        "params": operation.params,
        "content": operation.body,
        "headers": headers,
        "timeout": _LONGEST_TIMEOUT_S + (wait_s or 0.0),
    }


def result_of(operation: Operation[T], response: httpx.Response) -> T:
    """What was asked for. Raises ApiError."""
    if not response.is_success:
        if response.status_code not in operation.as_result:
            raise error_of(response.status_code, response.content)
        try:
            return msgspec.json.decode(response.content, type=operation.kind)
        except msgspec.MsgspecError:
            raise error_of(response.status_code, response.content) from None
    if operation.kind is bytes:
        return response.content  # type: ignore[return-value]  # it is what was asked for
    try:
        return msgspec.json.decode(response.content or b"null", type=operation.kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ApiError(response.status_code, f"the answer can't be understood: {error}") from error


def wait_before_next(operation: Operation[Any], attempt: int, response: httpx.Response | None) -> float | None:
    """Seconds until another attempt; None: there is none."""
    if not operation.repeatable or attempt >= ATTEMPTS or (response is not None and response.status_code not in _AGAIN):
        return None
    told = "" if response is None else response.headers.get("retry-after", "")
    return min(_LONGEST_WAIT_S, float(told) if told.isdigit() else _FIRST_WAIT_S * 2 ** (attempt - 1))


def unreachable(error: Exception) -> Unreachable:
    """There was no answer."""
    return Unreachable(0, f"the server can't be reached: {str(error) or type(error).__name__}")


def headers_of(key: str | None) -> dict[str, str]:
    """Of every request."""
    return {} if key is None else {"authorization": f"Bearer {key}"}


class EventReader:
    """Server-sent events, line by line; and where to go on."""

    path: Final = f"{PREFIX}/events"

    def __init__(self, types: tuple[str, ...] | None, station_id: str | None, after: int | None) -> None:
        self._filter = params_of(types=None if types is None else ",".join(types), station_id=station_id)
        self._last = after
        self._data: list[str] = []
        self.attempt = 0
        """Connections since anything came."""

    @property
    def params(self) -> dict[str, str]:
        """For the next connection."""
        return self._filter if self._last is None else {**self._filter, "last_event_id": str(self._last)}

    def line(self, text: str) -> Iterator[Event]:
        """The event that ends here, if one does."""
        self.attempt = 0
        if text.startswith("data:"):
            self._data.append(text.removeprefix("data:").removeprefix(" "))
        elif not text and self._data:
            event = msgspec.json.decode("\n".join(self._data), type=Event)
            self._data.clear()
            if event.id is not None:
                self._last = event.id
            yield event

    def wait_s(self) -> float:
        """Before the next connection."""
        self._data.clear()
        self.attempt += 1
        return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (self.attempt - 1)))
