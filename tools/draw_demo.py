"""Draw docs/pictures/demo.svg: what `forecourt demo` shows, from a demonstration that runs for the purpose."""

import asyncio
import contextlib
import io
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from forecourt.app.demo import running_demo
from forecourt.app.demo_view import picture
from forecourt.net.loop import run
from forecourt.sim.demo_site import recorded_day

TARGET = Path(__file__).parent.parent / "docs" / "pictures" / "demo.svg"
SECONDS = 75


async def main() -> None:
    """Run the morning at speed, then draw one frame."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(asyncio.CancelledError):
        async with running_demo(
            recorded_day(),
            start=datetime(2019, 5, 22, 15, 0, tzinfo=UTC),
            speed=60.0,
            database=f"sqlite:///{folder}/csms.sqlite",
            csms_port=0,
            controller_port=0,
            api_port=0,
            seed=0,
        ) as demo:
            await asyncio.sleep(SECONDS)
            console = Console(record=True, width=150, height=42, file=io.StringIO())
            console.print(picture(demo, console))
            TARGET.parent.mkdir(parents=True, exist_ok=True)
            drawn = console.export_svg(title="forecourt demo")
            # The picture stands alone: no font is fetched from anywhere, any monospaced one will do.
            drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
            TARGET.write_text(re.sub(r"<!-- .*? -->", "", drawn), encoding="utf-8")


if __name__ == "__main__":
    run(main())
