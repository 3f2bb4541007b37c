"""Charging by contract as the configuration of a CSMS says it: whose contracts are good, and whom to ask about them."""

from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from forecourt.app.config import ConfigError
from forecourt.csms.contract_ports import ContractServices
from forecourt.net.authority import HttpAuthority, LocalAuthority
from forecourt.net.certificates import CertificateError, read_certificates, root_files
from forecourt.net.contracts import HttpContractProvider, HttpResponder

Address = Annotated[str, msgspec.Meta(pattern="^https?://")]
_PATHS = ("roots", "authority", "authority_root", "authority_token_file", "provider_token_file")


class ContractsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[contracts]` in the configuration of a CSMS."""

    roots: str | None = None
    """Certificates of who vouches for contracts, and of the issuers between: a file, or a folder of them (PEM)."""
    responders: tuple[Address, ...] = ()
    """OCSP responders that may be asked: what their addresses begin with. None: none is."""
    responder_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    provider_url: Address | None = None
    """Who issues contracts' certificates: a contract certificate pool, or a mobility operator."""
    provider_token_file: str | None = None
    """A file with the bearer token that it asks for."""
    provider_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 20.0
    authority: str | None = None
    """Folder of an authority of our own for the certificates that stations show to cars; it is made when needed."""
    authority_url: Address | None = None
    """Somebody else's instead, as `resources.authority_url`."""
    authority_root: str | None = None
    authority_token_file: str | None = None

    def __post_init__(self) -> None:
        if (self.authority_url is None) != (self.authority_root is None):
            raise ValueError("contracts.authority_root: is needed with authority_url, and only then")
        if self.authority is not None and self.authority_url is not None:
            raise ValueError("contracts.authority: one of authority and authority_url is enough")

    def beside(self, folder: Path) -> Self:
        """With paths that are relative to `folder` made absolute."""
        given = {name: getattr(self, name) for name in _PATHS}
        return msgspec.structs.replace(
            self, **{name: str(folder / path) for name, path in given.items() if path is not None}
        )


class Contracts:
    """What the configuration comes to. `close` it in the end."""

    def __init__(self, settings: ContractsFile) -> None:
        """ConfigError when something can't be used."""
        self._closing: list[Any] = []
        responder = provider = None
        if settings.responders:
            responder = HttpResponder(settings.responders, timeout_s=settings.responder_timeout_s)
            self._closing.append(responder)
        if settings.provider_url is not None:
            bearer = _token(settings.provider_token_file, "provider_token_file")
            provider = HttpContractProvider(settings.provider_url, bearer=bearer, timeout_s=settings.provider_timeout_s)
            self._closing.append(provider)
        self.services = ContractServices(
            responder=responder, provider=provider, authority=_authority(settings), roots=_roots(settings.roots)
        )

    async def close(self) -> None:
        """Let go of everything."""
        for one in self._closing:
            await one.close()


def _authority(settings: ContractsFile) -> LocalAuthority | HttpAuthority | None:
    if settings.authority_url is not None and settings.authority_root is not None:
        bearer = _token(settings.authority_token_file, "authority_token_file")
        return HttpAuthority(settings.authority_url, Path(settings.authority_root), bearer=bearer)
    if settings.authority is not None:
        return LocalAuthority(Path(settings.authority), organization="Forecourt V2G")
    return None


def _roots(path: str | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        return tuple(
            certificate.public_bytes(Encoding.PEM).decode("ascii")
            for file in root_files(Path(path))
            for certificate in read_certificates(file)
        )
    except CertificateError as error:
        raise ConfigError(f"contracts.roots: {error}") from error


def _token(path: str | None, field: str) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"contracts.{field}: {error.strerror or error}") from error
