"""Write the API's OpenAPI description to the file that is named: the console's types are made from it.

No books are opened and no port: the description is of the operations alone.
"""

import sys
from pathlib import Path

import msgspec

from forecourt.api.application import description
from forecourt.api.settings import ApiSettings


def main(path: Path) -> int:
    """Write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        msgspec.json.format(msgspec.json.encode(description(ApiSettings()), order="sorted"), indent=1) + b"\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
