"""The sites in `examples/` can be used as they are."""

from pathlib import Path

import pytest

from forecourt.allocation.check import prove_fallbacks
from forecourt.app.site_file import load_site

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_read_and_its_fallbacks_fit(path: Path) -> None:
    site = load_site(path).site
    assert site.evses
    assert prove_fallbacks(site).holds
