"""Secrets out of JSON that is kept or shown: masked by the name of what holds them.

Guarantees
* No password is in a log or a history (security white paper A01.FR.09).
* What holds no secret comes out byte for byte; where something is masked, the rest keeps its meaning.
* A setting of a variable that holds a password is known by the variable's name, however the message writes settings.
"""

import re
from typing import Any, Final

import msgspec

MASKED: Final = "********"
SECRET_MEMBERS: Final = frozenset(
    {"password", "current_password", "new_password", "one_time_password", "key", "secret", "client_secret",
     "csrf_token", "private_key", "authorization", "csv"}
)  # fmt: skip
"""Members of our own bodies whose values are secrets; a list in CSV may have some in it."""
SECRET_VARIABLES: Final = frozenset({"basicauthpassword", "authorizationkey"})
"""Names of variables whose values are secrets."""

_NAMED: Final = re.compile(rb"basicauthpassword|authorizationkey", re.IGNORECASE)
_VALUES: Final = frozenset({"value", "attributeValue"})


def settings_masked(text: bytes) -> bytes:
    """A JSON text, such as a frame, without the values of variables that hold secrets."""
    if not _NAMED.search(text):
        return text
    try:
        return msgspec.json.encode(masked(msgspec.json.decode(text), members=frozenset()))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text


def masked(value: Any, *, members: frozenset[str] = SECRET_MEMBERS) -> Any:
    """The same without secrets."""
    if isinstance(value, list):
        return [masked(one, members=members) for one in value]
    if not isinstance(value, dict):
        return value
    if _names_a_secret(value):
        return {name: MASKED if name in _VALUES else masked(one, members=members) for name, one in value.items()}
    return {
        name: MASKED if name in members and isinstance(one, str) and not _is_setting(name, value)
        else masked(one, members=members)
        for name, one in value.items()
    }  # fmt: skip


def _is_setting(name: str, within: dict[str, Any]) -> bool:
    """A `key` beside a `value` is the name of a setting, and not a secret."""
    return name == "key" and "value" in within


def _names_a_secret(value: dict[str, Any]) -> bool:
    """A setting, as ours or as on the wire, of a variable that holds a secret."""
    ref = value.get("ref", value)
    named = [value.get("key"), ref.get("variable") if isinstance(ref, dict) else None]
    texts = [one.get("name") if isinstance(one, dict) else one for one in named]
    return any(isinstance(text, str) and text.lower() in SECRET_VARIABLES for text in texts)
