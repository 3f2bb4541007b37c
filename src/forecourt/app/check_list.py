"""Lists of requirements that `forecourt check` goes through: TOML files, some of them shipped with the package.

Guarantees
* A list that names a check that isn't there, or gives it what it can't use, is a ConfigError that names the field,
  before anything is started.
"""

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from forecourt.app.check_findings import Check
from forecourt.app.check_steps import CHECKS
from forecourt.app.config import ConfigError, load

_SHIPPED: Final = files("forecourt.app") / "checks"


class Level(StrEnum):
    """How much a requirement matters."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"


class Requirement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of a list."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    title: str
    level: Level = Level.REQUIRED
    check: str
    """The name of a check."""
    options: dict[str, Any] = {}
    """What the check is told."""
    skip_with: str | None = None
    """Does not apply when the command is given `--without` this word."""


class CheckList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole list, in the order in which it is gone through."""

    title: str
    tls_newest: str | None = None
    """The newest version of TLS that the listener speaks, because the platform speaks no newer one."""
    tls_suites: tuple[str, ...] = ()
    """The cipher suites that are wanted, by OpenSSL's names; the listener prefers them."""
    requirement: Annotated[tuple[Requirement, ...], msgspec.Meta(min_length=1)]


def shipped() -> list[str]:
    """The names of the lists that come with the package."""
    return sorted(entry.name.removesuffix(".toml") for entry in _SHIPPED.iterdir() if entry.name.endswith(".toml"))


def load_list(name: str) -> tuple[CheckList, tuple[Check, ...]]:
    """A shipped list by its name, or one in a file; and its checks, in order. Raises ConfigError."""
    path = Path(str(_SHIPPED / f"{name}.toml")) if name in shipped() else Path(name)
    if not path.is_file():
        raise ConfigError(f'PROFILE: expected one of {", ".join(shipped())}, or a TOML file; got "{name}"')
    wanted = load(path, CheckList)
    return wanted, tuple(_check(index, one) for index, one in enumerate(wanted.requirement))


def _check(index: int, requirement: Requirement) -> Check:
    place = f"requirement[{index}]"
    made = CHECKS.get(requirement.check)
    if made is None:
        raise ConfigError(f'{place}.check: expected one of {", ".join(CHECKS)}, got "{requirement.check}"')
    try:
        return msgspec.convert(requirement.options, made)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}.options: {error}") from error
