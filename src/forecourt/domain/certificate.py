"""Certificates of a station: what they are for, how one is named, and what is asked about a contract's.

Guarantees
* Two names of a certificate are the same certificate's when they are equal without regard to case
  (security white paper §6.1; OCPP 2.0.1 CertificateHashDataType) — use `CertificateHash.key`.
"""

from enum import StrEnum

import msgspec


class CertificateUse(StrEnum):
    """What an installed certificate is for (OCPP 2.0.1 GetCertificateIdUseEnumType)."""

    CSMS_ROOT = "CSMSRootCertificate"
    MANUFACTURER_ROOT = "ManufacturerRootCertificate"
    V2G_ROOT = "V2GRootCertificate"
    MO_ROOT = "MORootCertificate"
    V2G_CHAIN = "V2GCertificateChain"
    """The station's own towards cars, with its issuers but the root. Can be asked about, not installed."""


class CertificateSigningUse(StrEnum):
    """What a certificate that a station has asked for is for (OCPP 2.0.1 CertificateSigningUseEnumType)."""

    CHARGING_STATION = "ChargingStationCertificate"
    """To show to the CSMS."""
    V2G = "V2GCertificate"
    """To show to cars (ISO 15118)."""


class HashAlgorithm(StrEnum):
    """How names and keys are hashed."""

    SHA256 = "SHA256"
    SHA384 = "SHA384"
    SHA512 = "SHA512"


class CertificateHash(msgspec.Struct, frozen=True):
    """Names a certificate by its issuer and serial number, as OCSP does (RFC 6960 §4.1.1); hexadecimal."""

    algorithm: HashAlgorithm
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str
    """Without leading zeros."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What to compare and to look up by."""
        return (
            self.algorithm.value,
            self.issuer_name_hash.casefold(),
            self.issuer_key_hash.casefold(),
            self.serial_number.casefold(),
        )


class InstalledCertificate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A certificate that a station has, and those it has issued there."""

    use: CertificateUse
    certificate: CertificateHash
    children: tuple[CertificateHash, ...] = ()
    """Of a chain: from the leaf on."""


class OcspQuery(msgspec.Struct, frozen=True):
    """A certificate whose revocation is to be asked about, and whom to ask."""

    certificate: CertificateHash
    responder_url: str


class ContractStatus(StrEnum):
    """What the CSMS says of a contract's certificate (OCPP 2.0.1 AuthorizeCertificateStatusEnumType)."""

    ACCEPTED = "Accepted"
    SIGNATURE_ERROR = "SignatureError"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    CERTIFICATE_REVOKED = "CertificateRevoked"
    NO_CERTIFICATE_AVAILABLE = "NoCertificateAvailable"
    CERT_CHAIN_ERROR = "CertChainError"
    CONTRACT_CANCELLED = "ContractCancelled"


class ContractAction(StrEnum):
    """What a car wants done with its contract's certificate (OCPP 2.0.1 CertificateActionEnumType)."""

    INSTALL = "Install"
    UPDATE = "Update"
