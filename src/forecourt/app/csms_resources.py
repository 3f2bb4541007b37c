"""Where a CSMS keeps files, who signs its stations' certificates, and which vendors' messages it knows."""

from pathlib import Path
from typing import Any, Final, Self

import msgspec
import platformdirs

from forecourt.app.config import ConfigError
from forecourt.csms import vendors
from forecourt.csms.settings import CsmsSettings
from forecourt.dialect import DIALECTS
from forecourt.net.authority import HttpAuthority, LocalAuthority
from forecourt.store.files import FolderFiles

_SQLITE: Final = "sqlite:///"


class Resources(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[resources]` in the configuration of a CSMS."""

    files: str | None = None
    """Folder of images and logs; None: `files` beside the database, or in the user's data directory."""
    authority: str | None = None
    """Folder of the certificate authority (`root.pem`, `root.key`); None: `authority` beside the files. Where there is
    none, one is made when it is first needed."""
    authority_organization: str = "Forecourt"
    """The organizationName of a root that is made."""
    authority_url: str | None = None
    """Somebody else's authority instead: it gets each request by POST, and answers with the chain in PEM."""
    authority_root: str | None = None
    """The root of that one, PEM."""
    authority_token_file: str | None = None
    """A file with the bearer token that it asks for."""

    def __post_init__(self) -> None:
        if (self.authority_url is None) != (self.authority_root is None):
            raise ValueError("resources.authority_root: is needed with authority_url, and only then")

    def beside(self, folder: Path) -> Self:
        """With paths that are relative to `folder` made absolute."""
        names = ("files", "authority", "authority_root", "authority_token_file")
        given = {name: getattr(self, name) for name in names}
        return msgspec.structs.replace(
            self, **{name: str(folder / path) for name, path in given.items() if path is not None}
        )


def ports_of(resources: Resources, settings: CsmsSettings, database: str) -> dict[str, Any]:
    """What the context needs of it. ConfigError when something can't be used."""
    home = _home(database)
    folder = home / "files" if resources.files is None else Path(resources.files)
    try:
        store = FolderFiles(folder)
    except OSError as error:
        raise ConfigError(f"resources.files: {folder}: {error.strerror or error}") from error
    try:
        registry = vendors.installed()
    except vendors.VendorError as error:
        raise ConfigError(str(error)) from error
    return {
        "files": store,
        "authority": _authority(resources, settings, home),
        "vendors": registry,
        "capabilities": {dialect.subprotocol: dialect.capabilities for dialect in DIALECTS},
    }


def _authority(resources: Resources, settings: CsmsSettings, home: Path) -> LocalAuthority | HttpAuthority:
    if resources.authority_url is not None and resources.authority_root is not None:
        bearer = None
        if resources.authority_token_file is not None:
            try:
                bearer = Path(resources.authority_token_file).read_text().strip()
            except OSError as error:
                raise ConfigError(f"resources.authority_token_file: {error.strerror or error}") from error
        return HttpAuthority(resources.authority_url, Path(resources.authority_root), bearer=bearer)
    folder = home / "authority" if resources.authority is None else Path(resources.authority)
    return LocalAuthority(
        folder, organization=resources.authority_organization, valid_days=settings.resources.certificate_days
    )


def _home(database: str) -> Path:
    if database.startswith(_SQLITE) and not database.endswith(":memory:"):
        return Path(database.removeprefix(_SQLITE)).parent
    return Path(platformdirs.user_data_dir("forecourt", appauthor=False))
