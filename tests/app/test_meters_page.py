"""The examples in docs/meters.md are read as they stand."""

import re
from pathlib import Path

import pytest

from forecourt.app.site_file import load_site

PAGE = (Path(__file__).parents[2] / "docs" / "meters.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
SITE = """
[site.grid]
name = "house"
rating_a = 35
[[site.circuits]]
name = "shed"
rating_a = 20
[[site.evses]]
station_id = "wallbox"
[[site.evses]]
station_id = "CP-7"
circuit = "shed"
"""


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_an_example_is_read(number: int, tmp_path: Path) -> None:
    block = BLOCKS[number]
    if "[mqtt]" not in block:
        block += "\n[mqtt]\n"
    path = tmp_path / "site.toml"
    path.write_text(SITE + block, encoding="utf-8")
    assert load_site(path).site.grid.name == "house"


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 9
