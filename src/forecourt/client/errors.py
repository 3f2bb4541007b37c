"""What goes wrong, as exceptions made of problem+json (RFC 9457)."""

from http import HTTPStatus
from typing import Final

import msgspec


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    message: str


class ApiError(Exception):
    """The server says no, or nothing that can be understood. `str()` is its sentence."""

    def __init__(self, status: int, detail: str, errors: tuple[FieldProblem, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors


class Unauthorized(ApiError):  # noqa: N818
    """401: no key, or none that counts."""


class Forbidden(ApiError):  # noqa: N818
    """403: the key doesn't allow it."""


class NotFound(ApiError):  # noqa: N818
    """404."""


class Conflict(ApiError):  # noqa: N818
    """409: it contradicts what is there."""


class Invalid(ApiError):  # noqa: N818
    """400 or 422: a field can't be; `errors` names it."""


class Unreachable(ApiError):  # noqa: N818
    """No answer, after all attempts; or 502 to 504. Status 0 without any answer."""


KINDS: Final[dict[int, type[ApiError]]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.BAD_GATEWAY: Unreachable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unreachable,
    HTTPStatus.GATEWAY_TIMEOUT: Unreachable,
}


class _Problem(msgspec.Struct, frozen=True):
    detail: str = ""
    title: str = ""
    errors: tuple[FieldProblem, ...] = ()


def error_of(status: int, body: bytes) -> ApiError:
    """The exception for an answer."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = _Problem()
    detail = problem.detail or problem.title or f"the server answered {status}"
    return KINDS.get(status, ApiError)(status, detail, problem.errors)
