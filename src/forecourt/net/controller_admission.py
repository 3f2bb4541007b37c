"""Who is let in by the local controller, and how a refusal of the CSMS is repeated.

Guarantees
* A certificate that a station shows is in its own name, and valid now (A00.FR.405).
* Of credentials that the CSMS has let in only a salted digest is kept, and compared in constant time.
"""

import hashlib
import secrets
from datetime import datetime
from typing import Final

from forecourt.net.certificates import subject_of
from forecourt.net.handshake import UpgradeRequest

_TOLD_ON: Final = frozenset({"www-authenticate", "retry-after"})


def shows_its_own_certificate(request: UpgradeRequest, now: datetime) -> bool:
    """Or none at all."""
    if request.tls is None or request.tls.peer_certificate_der is None:
        return True
    subject = subject_of(request.tls.peer_certificate_der)
    # A resumed session doesn't look at the time again.
    return (
        subject is not None
        and request.identity in subject.common_names
        and subject.not_before <= now <= subject.not_after
    )


def digest(authorization: str, salt: str | None = None) -> str:
    """Not for passwords that people choose: those of OCPP are long and random, so that one round is enough."""
    salt = salt or secrets.token_hex(8)
    return f"{salt}:{hashlib.blake2b(authorization.encode(), salt=bytes.fromhex(salt)).hexdigest()}"


def matches(kept: str, authorization: str | None) -> bool:
    """Whether these are the credentials whose digest was kept."""
    return authorization is not None and secrets.compare_digest(kept, digest(authorization, kept.partition(":")[0]))


def told_on(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """What of the headers of the CSMS's refusal a station should see."""
    return tuple((name, value) for name, value in headers if name.lower() in _TOLD_ON)
