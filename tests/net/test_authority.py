"""Certificate authorities: our own, made when needed, kept to its owner; and somebody else's, over HTTP."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from forecourt.csms.resource_ports import AuthorityRefused
from forecourt.net.authority import HttpAuthority, LocalAuthority

NOW = datetime.now(UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def request(key: Key | None = None, *, extra: bool = False) -> x509.CertificateSigningRequest:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CS1")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if extra:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def pem(csr: x509.CertificateSigningRequest) -> str:
    return csr.public_bytes(Encoding.PEM).decode()


async def test_what_it_signs_holds_and_is_a_client_certificate_only(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "ca", valid_days=30)
    csr = request(extra=True)
    issued = await authority.issue(pem(csr), "CS1", NOW)
    leaf = x509.load_pem_x509_certificate(issued.chain.encode())
    root = x509.load_pem_x509_certificate((await authority.root()).encode())
    leaf.verify_directly_issued_by(root)
    assert leaf.public_key() == csr.public_key()
    # A station can't ask to be an authority.
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert abs(issued.not_after - (NOW + timedelta(days=30))) < timedelta(seconds=2)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(cadata=await authority.root())


async def test_it_is_the_same_the_next_time(tmp_path: Path) -> None:
    first = await LocalAuthority(tmp_path / "ca").root()
    assert await LocalAuthority(tmp_path / "ca").root() == first
    assert {entry.name for entry in (tmp_path / "ca").iterdir()} == {"root.pem", "root.key"}
    assert (tmp_path / "ca").stat().st_mode & 0o777 == 0o700


async def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    await LocalAuthority(tmp_path / "ca").root()
    (tmp_path / "ca" / "root.key").chmod(0o644)
    with pytest.raises(AuthorityRefused, match="others than its owner"):
        await LocalAuthority(tmp_path / "ca").root()


@pytest.mark.parametrize(
    ("csr", "why"),
    [
        (pem(request(rsa.generate_private_key(65537, 1024))), "2048"),
        (pem(request(ec.generate_private_key(ec.SECP192R1()))), "224"),
        (pem(request(ed25519.Ed25519PrivateKey.generate())), "neither RSA"),
        ("nothing", "PKCS#10"),
        ("x" * 6000, "too long"),
    ],
)
async def test_what_is_not_sound_is_refused(tmp_path: Path, csr: str, why: str) -> None:
    with pytest.raises(AuthorityRefused, match=why):
        await LocalAuthority(tmp_path).issue(csr, "CS1", NOW)


def test_a_request_that_another_key_has_signed_is_faulty(tmp_path: Path) -> None:
    der = bytearray(request().public_bytes(Encoding.DER))
    der[-1] ^= 1
    forged = pem(x509.load_der_x509_csr(bytes(der)))
    fault = LocalAuthority(tmp_path).examine(forged).fault
    assert fault == "the request is not signed by its own key"


@asynccontextmanager
async def answering(answer: bytes, seen: list[bytes]) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-l"))
        seen.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sign"


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()


async def test_somebody_elses_authority_is_asked_over_http(tmp_path: Path) -> None:
    theirs = LocalAuthority(tmp_path / "theirs")
    root_file = tmp_path / "root.pem"
    root_file.write_text(await theirs.root())
    csr = pem(request())
    signed = await theirs.issue(csr, "CS1", NOW)
    seen: list[bytes] = []
    async with answering(http("200 OK", signed.chain), seen) as url:
        authority = HttpAuthority(url, root_file, bearer="secret")
        assert await authority.issue(csr, "CS1", NOW) == signed
        assert await authority.root() == await theirs.root()
        assert await authority.revocation_list([], NOW) is None
    assert csr.encode() in seen[0]
    assert b"Bearer secret" in seen[0]


@pytest.mark.parametrize(
    ("answer", "why"),
    [(http("403 Forbidden", "no"), "403"), (http("200 OK", "what?"), "no certificate"), (b"", "can't be reached")],
)
async def test_what_they_refuse_is_said(tmp_path: Path, answer: bytes, why: str) -> None:
    async with answering(answer, []) as url:
        with pytest.raises(AuthorityRefused, match=why):
            await HttpAuthority(url, tmp_path / "root.pem").issue(pem(request()), "CS1", NOW)
