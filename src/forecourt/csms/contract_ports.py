"""Whom the CSMS asks about contracts for charging: responders, certificate authorities, and who issues contracts.

Guarantees asked of whoever implements them
* Nobody is asked whom the operator has not named, whatever address a station gives.
* An answer is given as it came; whether it can be believed is the CSMS's to find out.
"""

from typing import Protocol

import msgspec

from forecourt.csms.resource_ports import CertificateAuthority
from forecourt.domain.certificate import ContractAction


class ResponderUnavailable(Exception):  # noqa: N818
    """The responder could not be asked, may not be, or did not answer; the text says why."""


class ContractUnavailable(Exception):  # noqa: N818
    """Whoever issues contracts could not be asked, or would not; the text says why."""


class Responder(Protocol):
    """The way to OCSP responders (RFC 6960)."""

    async def ask(self, url: str, request: bytes) -> bytes:
        """An OCSPRequest in, an OCSPResponse out, both DER. Raises ResponderUnavailable."""
        ...


class ContractProvider(Protocol):
    """The way to who issues contracts' certificates: a contract certificate pool, or a mobility operator."""

    async def answer(self, station_id: str, schema_version: str, action: ContractAction, exi_request: str) -> str:
        """What a car wants in, what it gets out, both EXI in base64. Raises ContractUnavailable."""
        ...


class ContractServices(msgspec.Struct, frozen=True, kw_only=True):
    """All that there are. None: nobody is known."""

    responder: Responder | None = None
    provider: ContractProvider | None = None
    authority: CertificateAuthority | None = None
    """Signs the certificates that stations show to cars."""
    roots: tuple[str, ...] = ()
    """Whose contracts are good here, and the issuers between: PEM."""
