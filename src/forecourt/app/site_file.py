"""`site.toml`: the configuration of a local controller, read into the site and the settings.

Guarantees
* Ratings are written as one number for all three lines or as three: `rating_a = 63`, `rating_a = [63, 63, 40]`.
* Rotations are written as text, the site's line for each of the EVSE's own phases: `rotation = "L2 L3 L1"`.
* What is wrong is told with the path of the field and what was expected; nothing is started by then.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec

from forecourt.allocation.check import prove_fallbacks
from forecourt.app.config import ConfigError, convert
from forecourt.app.site_admin_settings import Administration
from forecourt.app.site_inputs import FEEDS, SiteInputs, input_problems, spell_out_times
from forecourt.app.site_link_settings import SiteLinkFile
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.site import Site, SiteError
from forecourt.net.tls import ClientTls, ServerTls
from forecourt.quantities import PHASES


class ListeningCsms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second CSMS that hears copies of what the stations say; what it asks is refused."""

    url: Annotated[str, msgspec.Meta(pattern="^wss?://")]
    passwords: dict[str, str] = {}
    """Basic Auth passwords by station id; the stations' own credentials never go there."""
    tls: ClientTls = ClientTls()

    def __post_init__(self) -> None:
        if self.url.startswith("ws:") and self.tls != ClientTls():
            raise ValueError("url: has to begin with wss:// for tls to be of use")

    def __repr__(self) -> str:
        # Never the passwords.
        return f"ListeningCsms(url={self.url!r})"


class Upstream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The CSMS that the stations are relayed to."""

    url: Annotated[str, msgspec.Meta(pattern="^wss?://")]
    """Without a station's identity, which is added: ws://127.0.0.1:9000/ocpp."""
    passwords: dict[str, str] = {}
    """Basic Auth passwords by station id. Others have their own credentials passed on."""
    tls: ClientTls = ClientTls()
    """For wss://: whom to trust, and the controller's own certificate where the CSMS asks for one."""
    listeners: tuple[ListeningCsms, ...] = ()
    """More than one CSMS: this one is the stations', those only listen."""

    def __post_init__(self) -> None:
        if self.url.startswith("ws:") and self.tls != ClientTls():
            raise ValueError("url: has to begin with wss:// for tls to be of use")

    def __repr__(self) -> str:
        # Never the passwords.
        return f"Upstream(url={self.url!r}, passwords of {len(self.passwords)} stations)"


class StationListener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where stations connect."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9100
    tls: ServerTls | None = None
    """None: plain `ws`. With a `client_ca` each station shows a certificate in its own name."""


class SiteFile(SiteInputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole `site.toml`."""

    site: Site
    upstream: Upstream | None = None
    ocpp: StationListener = StationListener()
    controller: ControllerSettings = ControllerSettings()
    site_link: SiteLinkFile | None = None
    admin: Administration = Administration()
    state_dir: str | None = None
    """Where the journal is kept; relative to the file. None: a restart forgets everything."""

    def beside(self, folder: Path) -> Self:
        """With the paths of certificates and keys that are relative to `folder` made absolute."""
        upstream, ocpp = self.upstream, self.ocpp
        if upstream is not None:
            listeners = tuple(
                msgspec.structs.replace(listener, tls=listener.tls.beside(folder)) for listener in upstream.listeners
            )
            upstream = msgspec.structs.replace(upstream, tls=upstream.tls.beside(folder), listeners=listeners)
        if ocpp.tls is not None:
            ocpp = msgspec.structs.replace(ocpp, tls=ocpp.tls.beside(folder))
        admin = self.admin
        if admin.tls is not None:
            admin = msgspec.structs.replace(admin, tls=admin.tls.beside(folder))
        state_dir = None if self.state_dir is None else str(folder / self.state_dir)
        file = msgspec.structs.replace(self, upstream=upstream, ocpp=ocpp, admin=admin, state_dir=state_dir)
        if self.site_link is not None:
            file = msgspec.structs.replace(file, site_link=self.site_link.beside(folder))
        for name in FEEDS:
            if (feed := getattr(file, name)) is not None:
                file = msgspec.structs.replace(file, **{name: feed.beside(folder)})
        return file


_PER_PHASE = ("rating_a", "background_a")


def load_site(path: Path) -> SiteFile:
    """The configuration in `path`, checked: the tree is sound and the fallbacks fit.

    Raises:
        ConfigError: it can't be used; the text says where and why.
    """
    file = read_site(path)
    proof = prove_fallbacks(file.site)
    if not proof.holds:
        shown = "\n".join(f"{path}: the fallbacks don't fit: {violation.text()}" for violation in proof.violations)
        raise ConfigError(shown)
    return file


def read_site(path: Path) -> SiteFile:
    """The configuration in `path`, its tree sound; whether the fallbacks fit is not asked.

    Raises:
        ConfigError: it can't be used; the text says where and why.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    _spell_out(tree, str(path))
    spell_out_times(tree)
    file = convert(tree, SiteFile, source=str(path))
    try:
        file.site.checked()
    except SiteError as error:
        problems = "\n".join(f"{path}: site.{problem}" for problem in error.problems)
        raise ConfigError(problems) from error
    if found := input_problems(file, file.site, path.resolve().parent):
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in found))
    return file.beside(path.resolve().parent)


def _spell_out(tree: dict[str, Any], source: str) -> None:
    """Turn the short spellings into the long ones."""
    site = tree.get("site")
    if not isinstance(site, dict):
        return
    nodes = [("site.grid", site.get("grid"))]
    circuits = site.get("circuits", [])
    nodes += [(f"site.circuits[{k}]", node) for k, node in enumerate(circuits if isinstance(circuits, list) else [])]
    for path, node in nodes:
        if isinstance(node, dict):
            for field in _PER_PHASE:
                if field in node:
                    node[field] = _three(node[field], f"{source}: {path}.{field}")
    evses = site.get("evses", [])
    for k, point in enumerate(evses if isinstance(evses, list) else []):
        if isinstance(point, dict):
            for field in ("rotation", "between"):
                if isinstance(point.get(field), str):
                    point[field] = _lines(point[field], f"{source}: site.evses[{k}].{field}")


def _three(value: object, path: str) -> list[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [float(value)] * 3
    if isinstance(value, list) and len(value) == 3 and all(isinstance(one, int | float) for one in value):
        return [float(one) for one in value]
    raise ConfigError(f"{path}: expected a number, or three for L1, L2 and L3")


def _lines(text: str, path: str) -> list[str] | None:
    words = text.replace(",", " ").replace("-", " ").split()
    if words == ["unknown"]:
        return None
    if not words or any(word not in set(PHASES) for word in words):
        raise ConfigError(f'{path}: expected lines such as "L1 L2 L3", or "unknown", got "{text}"')
    return words
