"""Errors as problem+json (RFC 9457), each naming the field where there is one.

Guarantees
* Whatever goes wrong is answered by a `Problem`; a refusal of the CSMS keeps its own sentence. What nobody foresaw is
  logged with its trace and answered 500 without a word about the inside.
* `errors` names fields by their path in the body (`profile.schedules[0].periods`), or by the parameter's name.

============================================  ======
unreadable body                               400
no key, a wrong one                           401
a key without the scope; a foreign page       403
no such thing, no such path                   404
wrong method                                  405
the body is late                              408
it contradicts what is in the books           409
too large a body                              413
a body that isn't JSON                        415
a field or parameter that can't be            422
the books can't be written or read            503
============================================  ======
"""

import logging
import re
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.limits import NotAllowed
from forecourt.csms.ports import StoreUnavailable

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_NAMED: Final = re.compile(r"^Object (?P<what>contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL)
_OWN: Final = re.compile(r"^(?P<name>[a-z_]+): (?P<what>.*)$", re.DOTALL)
"""What a rule of ours, in a body's `__post_init__`, says."""


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one field or parameter."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request wasn't carried out (RFC 9457)."""

    type: str = "about:blank"
    title: str
    """The status in words."""
    status: int
    detail: str
    """A sentence for the person who asked."""
    errors: tuple[FieldError, ...] = ()


class Refused(Exception):  # noqa: N818
    """The API itself says no: `status`, and a sentence; what is wrong with which field, where it is about several."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        field: str | None = None,
        errors: tuple[FieldError, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.field = field
        self.errors = errors if field is None else (FieldError(field=field, message=detail),)
        self.headers = headers


def problem(status: int, detail: str, *errors: FieldError) -> Problem:
    """A problem of that status."""
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)


class _ProblemSpec(ResponseSpec):
    """Never changed, so a copy is the same: Litestar copies every operation of a router, and all that is below it."""

    def __deepcopy__(self, memo: object) -> "_ProblemSpec":
        return self


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """These problems for the description of an operation, and those that any operation can have."""
    always = (400, 401, 403, 422, 503)
    return {status: _problem_spec(status) for status in sorted({*always, *statuses})}


@cache
def _problem_spec(status: int) -> ResponseSpec:
    return _ProblemSpec(
        data_container=Problem,
        generate_examples=False,
        description=HTTPStatus(status).phrase,
        media_type=MEDIA_TYPE,
    )


def invalid_body(error: msgspec.ValidationError) -> Invalid:
    """The decoder's complaint about a body, by field."""
    return Invalid(*explain(str(error)))


def explain(complaint: str) -> tuple[str, str]:
    """A complaint of the decoder: the field by its path, and what is wrong with it."""
    match = _PLACE.match(complaint)
    assert match is not None
    what, path = match["what"], (match["path"] or "").removeprefix(".").replace("[...]", "[]")
    if named := _NAMED.match(what):
        message = "is no field here" if named["what"] == "contains unknown" else "is missing"
        return _joined(path, named["name"]), message
    if own := _OWN.match(what):
        return _joined(path, own["name"]), own["what"]
    return path or "body", what[:1].lower() + what[1:].replace("`", "")


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# Exception to answer


def _answer(status: int, detail: str, *errors: FieldError, headers: dict[str, str] | None = None) -> Response[Problem]:
    return Response(problem(status, detail, *errors), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _refused(_request: Request[Any, Any, Any], error: Refused) -> Response[Problem]:
    detail = str(error) if error.field is None else f"{error.field} {error}"
    return _answer(error.status, detail, *error.errors, headers=error.headers)


def _not_found(_request: Request[Any, Any, Any], error: NotFound) -> Response[Problem]:
    return _answer(HTTPStatus.NOT_FOUND, str(error))


def _conflict(_request: Request[Any, Any, Any], error: Conflict) -> Response[Problem]:
    return _answer(HTTPStatus.CONFLICT, str(error))


def _not_allowed(_request: Request[Any, Any, Any], error: NotAllowed) -> Response[Problem]:
    return _answer(HTTPStatus.FORBIDDEN, str(error))


def _invalid(_request: Request[Any, Any, Any], error: Invalid) -> Response[Problem]:
    message = str(error).removeprefix(f"{error.field}: ")
    return _answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{error.field} {message}",
        FieldError(field=error.field, message=message),
    )


def _unavailable(_request: Request[Any, Any, Any], error: StoreUnavailable) -> Response[Problem]:
    log.error("the store is unavailable: %s", error)
    return _answer(
        HTTPStatus.SERVICE_UNAVAILABLE, "the books can't be reached, try again", headers={"retry-after": "5"}
    )


def _framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    headers = None if error.headers is None else {name: str(value) for name, value in error.headers.items()}
    if isinstance(error, ValidationException):
        found = [entry for entry in error.extra or () if isinstance(entry, dict)]
        if any(entry.get("source") == "path" for entry in found):
            return _answer(HTTPStatus.NOT_FOUND, "there is nothing here")
        if any(entry.get("key") == "data" for entry in found):
            return _answer(HTTPStatus.BAD_REQUEST, "a body is missing")
        errors = tuple(
            FieldError(
                field=_parameter(request, str(entry.get("key", "body"))), message=_plain(str(entry.get("message", "")))
            )
            for entry in found
        )
        detail = "; ".join(f"{entry.field}: {entry.message}" for entry in errors)
        return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, detail or "a parameter can't be", *errors)
    detail = _DETAILS.get(error.status_code, error.detail)
    return _answer(error.status_code, detail, headers=headers)


def _parameter(request: Request[Any, Any, Any], name: str) -> str:
    """A parameter's name as it is asked for: in the code it may have another."""
    field = request.route_handler.parsed_fn_signature.parameters.get(name)
    return getattr(field and field.kwarg_definition, "name", None) or name


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:].replace("`", "")


_DETAILS: Final[dict[int, str]] = {
    HTTPStatus.NOT_FOUND: "there is nothing here",
    HTTPStatus.METHOD_NOT_ALLOWED: "this can't be done here; the allow header says what can",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is too large",
}


def _unforeseen(_request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    log.error("a request failed", exc_info=error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong here; the log has more")


HANDLERS: Final[dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]] = {
    Refused: _refused,
    NotFound: _not_found,
    Conflict: _conflict,
    Invalid: _invalid,
    NotAllowed: _not_allowed,
    StoreUnavailable: _unavailable,
    HTTPException: _framework,
    Exception: _unforeseen,
}
