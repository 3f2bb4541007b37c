"""Names in paths that hold a slash: `/stations/a%2Fb` is about the station `a/b`.

Guarantees
* An encoded slash never divides a path; it comes out as a slash in the parameter. A path with an encoded NUL, which
  stands for it on the way and is in nobody's name, is nowhere.
"""

import re
from typing import Any, Final
from urllib.parse import quote, unquote

from litestar.types import Scope

_STAND_IN: Final = "\0"
_ENCODED_SLASH: Final = re.compile(rb"%2f", re.IGNORECASE)


def keep_slashes(scope: Scope) -> None:
    """Before routing: put the stand-in into the path."""
    raw = scope.get("raw_path") or b""
    if b"%00" in raw:
        scope["path"] = "/\0"
    elif _ENCODED_SLASH.search(raw):
        scope["path"] = unquote(_ENCODED_SLASH.sub(b"%00", raw).decode("ascii"))


def restore_parameters(scope: Scope) -> None:
    """After routing: put the slashes back."""
    parameters: dict[str, Any] = scope.get("path_params") or {}
    if parameters and _STAND_IN in scope["path"]:
        scope["path_params"] = {
            name: value.replace(_STAND_IN, "/") if isinstance(value, str) else value
            for name, value in parameters.items()
        }


def quoted(name: str) -> str:
    """A name as a segment of a path."""
    return quote(name, safe="")
