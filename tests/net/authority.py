"""A certificate authority that the tests make: roots, servers, stations; sound ones, and each kind of unsound one."""

import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Pair(NamedTuple):
    """A certificate and its key, in files."""

    certificate: str
    key: str


@cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """Made once, as it takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def make_key(kind: str) -> Key:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa_key(int(kind.removeprefix("rsa")))


def name(common_name: str, organization: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


class Authority:
    """One root, and what it signs. Files go to `folder`."""

    def __init__(self, folder: Path, common_name: str = "Test Root") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = name(common_name, "Test")
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=100))
            .not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        self.file = str(folder / f"{common_name.replace(' ', '-')}.pem")
        Path(self.file).write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        common_name: str,
        *,
        file: str | None = None,
        organization: str | None = "Test CPO",
        kind: str = "ec",
        names: tuple[str, ...] = (),
        client: bool = False,
        begins_days: float = -1,
        ends_days: float = 30,
        key_file_mode: int = 0o600,
    ) -> Pair:
        """A certificate; `names` are its subjectAltNames."""
        key = make_key(kind)
        now = datetime.datetime.now(datetime.UTC)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common_name, organization))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=begins_days))
            .not_valid_after(now + datetime.timedelta(days=ends_days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names:
            alternatives = [x509.DNSName(one) for one in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        stem = file or f"{common_name}-{kind}"
        pair = Pair(str(self.folder / f"{stem}.pem"), str(self.folder / f"{stem}.key"))
        Path(pair.certificate).write_bytes(certificate.public_bytes(Encoding.PEM))
        path = Path(pair.key)
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        path.chmod(key_file_mode)
        return pair
