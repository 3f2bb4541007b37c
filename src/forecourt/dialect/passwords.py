"""How a station's password travels in HTTP basic authentication.

Guarantees
* OCPP 1.6: the password is AuthorizationKey (security white paper A01.FR.01, FR.02), up to 40 hexadecimal digits, and
  what is sent are the octets they stand for (OCPP-J 1.6 §6.2; errata 3.10; A00.FR.205: 16 octets at least). Anything
  else is sent as it is written, which is what many stations and central systems do.
* OCPP 2.x: BasicAuthPassword is text and sent as UTF-8 (A00.FR.205).
"""

import re
from typing import Final

from forecourt.dialect.port import Dialect
from forecourt.dialect.v16 import V16

_OCTETS: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}", re.ASCII)


def password_octets(dialect: Dialect, password: str) -> bytes:
    """What a station of that version sends for its password."""
    if dialect.subprotocol == V16.subprotocol and _OCTETS.fullmatch(password):
        return bytes.fromhex(password)
    return password.encode()
