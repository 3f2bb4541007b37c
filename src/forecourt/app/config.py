"""Configuration files: TOML in, typed settings out, and errors that a person can act on.

Guarantees
* A wrong file raises `ConfigError` whose text names the file, the field by its path (`stations[2].evses`) and what was
  expected; nothing has been started by then.
* A field nobody knows is an error with the nearest known name, never ignored.
"""

import difflib
import re
import tomllib
import typing
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")

_UNKNOWN_FIELD: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`")
_MISSING_FIELD: Final = re.compile(r"Object missing required field `(?P<name>.*)`")
_WRONG_CHOICE: Final = re.compile(r"Invalid enum value (?P<value>.*)")
_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_WORDS: Final = {
    "`object`": "a table",
    "`array`": "a list",
    "`str`": "text",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`null`": "nothing",
}


class ConfigError(Exception):
    """A configuration that can't be used; the text is for the person who wrote it."""


def load(path: Path, settings: type[T]) -> T:
    """The settings in the TOML file at `path`.

    Raises:
        ConfigError: the file can't be read, isn't TOML, or doesn't fit `settings`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text, byte {error.start} is not") from error
    return parse(text, settings, source=str(path))


def parse(text: str, settings: type[T], *, source: str) -> T:
    """The settings in `text`; `source` names it in errors.

    Raises:
        ConfigError: `text` isn't TOML, or doesn't fit `settings`.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not TOML: {error}") from error
    return convert(tree, settings, source=source)


def convert(tree: dict[str, Any], settings: type[T], *, source: str) -> T:
    """`tree`, as read from TOML, as `settings`.

    Raises:
        ConfigError: it doesn't fit.
    """
    try:
        return msgspec.convert(tree, settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {explain(str(error), settings)}") from error
    except ValueError as error:  # a rule of the settings themselves, which name the field
        raise ConfigError(f"{source}: {error}") from error


def explain(complaint: str, settings: type | None = None) -> str:
    """A complaint of the decoder in the words of a configuration file, path first."""
    match = _PLACE.match(complaint)
    assert match is not None
    what, path = match["what"], (match["path"] or "").lstrip(".").replace("[...]", "[]")
    if unknown := _UNKNOWN_FIELD.match(what):
        field = f"{path}.{unknown['name']}" if path else unknown["name"]
        return f"{field}: no such field{_suggestion(unknown['name'], settings)}"
    if missing := _MISSING_FIELD.match(what):
        field = f"{path}.{missing['name']}" if path else missing["name"]
        return f"{field}: is missing"
    if chosen := _WRONG_CHOICE.match(what):
        choices = _choices(settings, path)
        expected = f"expected one of {', '.join(choices)}, got" if choices else "is none of the known:"
        return f"{path}: {expected} {chosen['value']}"
    for word, meaning in _WORDS.items():
        what = what.replace(word, meaning)
    return f"{path or 'the file'}: {what[:1].lower()}{what[1:]}"


def _choices(settings: type | None, path: str) -> list[str]:
    """The values that the field at `path` may have, where it is one of a few."""
    current: Any = settings
    for name in re.sub(r"\[\d*\]", "", path).split("."):
        structs = [one for one in _parts(current) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        fields = [field for struct in structs for field in msgspec.structs.fields(struct) if field.encode_name == name]
        if not fields:
            return []
        current = fields[0].type
    found: list[str] = []
    for part in _parts(current):
        if isinstance(part, type) and issubclass(part, Enum):
            found += [str(member.value) for member in part]
        elif typing.get_origin(part) is typing.Literal:
            found += [str(value) for value in typing.get_args(part)]
    return found


def _parts(annotation: Any) -> list[Any]:
    """A type and the types it is made of."""
    parts = [annotation]
    if typing.get_origin(annotation) is not typing.Literal:
        for argument in getattr(annotation, "__args__", ()):
            parts += _parts(argument)
    return parts


def _suggestion(name: str, settings: type | None) -> str:
    known = sorted(_field_names(settings, set())) if settings is not None else []
    near = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def _field_names(settings: type, seen: set[type]) -> set[str]:
    """All field names of a settings type and the types inside it."""
    names: set[str] = set()
    waiting: list[Any] = [settings]
    while waiting:
        current = waiting.pop()
        if isinstance(current, type) and issubclass(current, msgspec.Struct):
            if current in seen:
                continue
            seen.add(current)
            for field in msgspec.structs.fields(current):
                names.add(field.encode_name)
                waiting.append(field.type)
        else:
            waiting.extend(getattr(current, "__args__", ()))
    return names
