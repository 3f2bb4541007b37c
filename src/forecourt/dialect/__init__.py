"""The only room that knows versions of OCPP.

Guarantees
* `DIALECTS` holds one dialect for each version spoken, the preferred one first: the order in which a client offers
  subprotocols, and in which a server chooses among those offered.
"""

from typing import Final

from forecourt.dialect.port import Dialect
from forecourt.dialect.v16 import V16
from forecourt.dialect.v201 import V201

DIALECTS: Final[tuple[Dialect, ...]] = (V201, V16)


def by_subprotocol(name: str) -> Dialect:
    """The dialect negotiated as `name`.

    Raises:
        KeyError: nobody speaks it.
    """
    for dialect in DIALECTS:
        if dialect.subprotocol == name:
            return dialect
    raise KeyError(name)
