"""`forecourt tariffs list`, `forecourt cdrs show 7`, `forecourt firmware-jobs create job.json`: a command for each noun
of a running CSMS's API, with what the API has for it.

Guarantees
* A noun's commands are its verbs in `client.nouns`, and their options its filters; nothing is said twice.
* What is entered is JSON as the API describes it, from a file or standard input; a field that can't be is named, and
  the exit code says that the command was wrong.
"""

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from forecourt.app.remote import JsonOption, KeyOption, UrlOption, connected, show, show_command, show_one
from forecourt.app.running import Exit, fail
from forecourt.client import nouns
from forecourt.client.nouns import NOUNS, Noun
from forecourt.client.types import Command

OWN: Final = frozenset({"tokens", "transactions"})
"""Those that have commands of their own."""
REMOTE: Final = tuple(sorted(NOUNS.keys() - OWN))

_MOST_COLUMNS: Final = 8
_DULL: Final = frozenset({"csr", "chain", "pem", "history", "terms", "tariff", "bill", "profile", "signed_values"})
"""Too long for a table."""
_OF: Final = {
    "stations": "STATION",
    "transactions": "TRANSACTION",
    "tariffs": "TARIFF",
    "sites": "SITE",
    "webhooks": "WEBHOOK",
}

FileArgument = Annotated[Path, typer.Argument(metavar="FILE.json", help="JSON as the API describes it; - reads stdin.")]


def make(name: str) -> typer.Typer:
    """The commands of a noun."""
    noun = NOUNS[name]
    group = typer.Typer(
        name=name, help=f"{_title(name)} of a running CSMS.", no_args_is_help=True, add_completion=False
    )
    group.callback()(_nothing)
    tasks: dict[str, Callable[..., None]] = {}
    if "list" in noun.verbs:
        tasks["list"] = _list(noun)
    if "get" in noun.verbs or name == "sites":
        tasks["show"] = _show(noun, nouns.get_site if name == "sites" else None)
    for verb in ("create", "replace", "update", "remove"):
        if verb in noun.verbs:
            tasks[verb] = _WRITING[verb](noun)
    for action in noun.actions:
        tasks[action] = _act(noun, action)
    tasks.update(_MORE.get(name, {}))
    for task, function in tasks.items():
        group.command(task)(function)
    return group


def _title(name: str) -> str:
    words = name.replace("-", " ")
    return words.replace("api", "API").replace("cdrs", "CDRs") if name in {"api-keys", "cdrs"} else words.capitalize()


def _nothing() -> None:
    """A group with a callback stays one, however few commands it has."""


def _signed(function: Callable[..., None], words: str, parameters: list[inspect.Parameter]) -> Callable[..., None]:
    """The function with these parameters, as the command line sees them."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {one.name: one.annotation for one in parameters}
    function.__doc__ = words
    return function


def _parameter(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind, default=default)


def _parents(noun: Noun[Any]) -> list[inspect.Parameter]:
    """What it belongs to, if anything."""
    if "{}" not in noun.path:
        return []
    metavar = _OF[noun.path.partition("/")[0]]
    return [_parameter("parent", Annotated[str, typer.Argument(metavar=metavar)])]


def _key(noun: Noun[Any]) -> inspect.Parameter:
    return _parameter("which", Annotated[str, typer.Argument(metavar=noun.key.upper())])


_WHERE: Final = [_parameter("url", UrlOption, None), _parameter("key", KeyOption, None)]
_AS_JSON: Final = _parameter("as_json", JsonOption, False)


def _within(noun: Noun[Any], parent: str | None) -> Noun[Any]:
    return noun if parent is None else noun.of(parent)


def _list(noun: Noun[Any]) -> Callable[..., None]:
    fields = [name for name in noun.kind.__struct_fields__ if name not in _DULL]
    columns = [(name, lambda one, name=name: getattr(one, name)) for name in fields[:_MOST_COLUMNS]]

    def run(
        url: str | None, key: str | None, as_json: bool, most: int | None, parent: str | None = None, **filters: Any
    ) -> None:
        with connected(url, key) as csms:
            found = csms.all(_within(noun, parent).list(**filters))
            show(
                found if most is None else (one for one, _ in zip(found, range(most), strict=False)),
                columns,
                as_json=as_json,
            )

    options = [_parameter(name, Annotated[str | None, typer.Option(help=_help(name))], None) for name in noun.filters]
    most = _parameter("most", Annotated[int | None, typer.Option(min=1, help="So many at most.")], None)
    return _signed(run, "List them, newest first.", [*_parents(noun), *options, most, *_WHERE, _AS_JSON])


def _help(name: str) -> str:
    if name.endswith(("_from", "_to", "_before")) or name in {"since", "until"}:
        return "A time, such as 2030-01-01T00:00:00Z."
    return f"Only those of this {name.replace('_', ' ')}."


def _show(noun: Noun[Any], whole: Callable[[int], Any] | None) -> Callable[..., None]:
    def run(which: str, url: str | None, key: str | None, as_json: bool) -> None:
        with connected(url, key) as csms:
            show_one(csms.do(noun.get(which) if whole is None else whole(_number(which))), as_json=as_json)

    return _signed(run, "Show one.", [*_parents(noun), _key(noun), *_WHERE, _AS_JSON])


def _number(text: str) -> int:
    if not text.isdigit():
        fail(f"{text} is no number", Exit.USAGE)
    return int(text)


def _create(noun: Noun[Any]) -> Callable[..., None]:
    def run(file: Path, url: str | None, key: str | None, as_json: bool, parent: str | None = None) -> None:
        with connected(url, key) as csms:
            _told(csms.do(_within(noun, parent).create(_read(file))), as_json)

    return _signed(run, "Enter one.", [*_parents(noun), _parameter("file", FileArgument), *_WHERE, _AS_JSON])


def _replace(noun: Noun[Any]) -> Callable[..., None]:
    def run(which: str, file: Path, url: str | None, key: str | None, as_json: bool) -> None:
        with connected(url, key) as csms:
            _told(csms.do(noun.replace(which, _read(file))), as_json)

    return _signed(run, "Enter one anew.", [_key(noun), _parameter("file", FileArgument), *_WHERE, _AS_JSON])


def _update(noun: Noun[Any]) -> Callable[..., None]:
    def run(which: str, changes: list[str], url: str | None, key: str | None, as_json: bool) -> None:
        with connected(url, key) as csms:
            _told(csms.do(noun.update(which, **dict(map(_field, changes)))), as_json)

    fields = Annotated[list[str], typer.Argument(metavar="FIELD=VALUE...", help="A value is JSON, or else a text.")]
    return _signed(run, "Change fields of one.", [_key(noun), _parameter("changes", fields), *_WHERE, _AS_JSON])


def _remove(noun: Noun[Any]) -> Callable[..., None]:
    def run(which: str, url: str | None, key: str | None, as_json: bool, parent: str | None = None) -> None:
        with connected(url, key) as csms:
            _told(csms.do(_within(noun, parent).remove(which)), as_json)

    return _signed(run, "Take one out.", [*_parents(noun), _key(noun), *_WHERE, _AS_JSON])


def _act(noun: Noun[Any], action: str) -> Callable[..., None]:
    def run(
        which: str, file: Path | None, url: str | None, key: str | None, as_json: bool, parent: str | None = None
    ) -> None:
        with connected(url, key) as csms:
            body = None if file is None else _read(file)
            _told(csms.do(_within(noun, parent).act(which, action, body)), as_json)

    body = Annotated[Path | None, typer.Argument(metavar="FILE.json", help="What to say with it; - reads stdin.")]
    parameters = [*_parents(noun), _key(noun), _parameter("file", body, None), *_WHERE, _AS_JSON]
    return _signed(run, f"POST to …/{action} of one.", parameters)


_WRITING: Final[dict[str, Callable[[Noun[Any]], Callable[..., None]]]] = {
    "create": _create,
    "replace": _replace,
    "update": _update,
    "remove": _remove,
}


def _told(answer: Any, as_json: bool) -> None:
    if isinstance(answer, Command):
        show_command(answer, as_json=as_json)
    elif answer is not None:
        show_one(answer, as_json=as_json)


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"{text}: a change is FIELD=VALUE", Exit.USAGE)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _read(file: Path) -> msgspec.Raw:
    """What stands in it, number by number as it is spelt."""
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return msgspec.Raw(msgspec.json.format(text, indent=-1))
    except (OSError, msgspec.DecodeError) as error:
        fail(f"{file}: {error}", Exit.USAGE)


# What isn't JSON


def upload_image(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)],
    name: Annotated[str | None, typer.Option(help="What stations call it; else the file's own name.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep an image of firmware."""
    with connected(url, key) as csms:
        show_one(csms.do(nouns.upload_image(name or file.name, file.read_bytes())), as_json=as_json)


def fetch_log(
    number: Annotated[int, typer.Argument(min=1)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it is to be kept.")],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Fetch what a station has uploaded."""
    with connected(url, key) as csms:
        file.write_bytes(csms.do(nouns.get_log(number)))


def receipt(number: Annotated[int, typer.Argument(min=1)], url: UrlOption = None, key: KeyOption = None) -> None:
    """Print a CDR's receipt."""
    with connected(url, key) as csms:
        typer.echo(csms.do(nouns.get_receipt(number)).decode(), nl=False)


_MORE: Final[dict[str, dict[str, Callable[..., None]]]] = {
    "firmware-images": {"upload": upload_image},
    "log-jobs": {"file": fetch_log},
    "cdrs": {"receipt": receipt},
}
