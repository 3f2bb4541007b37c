"""Write the API's OpenAPI description to the file that is named: the console's types are made from it.

No books are opened and no port: the description is of the operations alone.
"""

import sys
from pathlib import Path
from typing import Any, cast

import msgspec

from forecourt.api.application import make_application
from forecourt.api.lifetime import Lifetime
from forecourt.api.settings import ApiSettings
from forecourt.csms.ports import Context
from forecourt.net.clock import RealClock


def description() -> dict[str, Any]:
    """The OpenAPI description."""
    nowhere = cast(Any, None)
    context = Context(store=nowhere, bus=nowhere, clock=RealClock(), new_id=lambda: "")
    settings = ApiSettings()
    lifetime = Lifetime(longest_wait_s=settings.longest_wait_s, heartbeat_s=settings.heartbeat_s)
    return make_application(context, settings, lifetime).openapi_schema.to_schema()


def main(path: Path) -> int:
    """Write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(description(), order="sorted"), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
