"""PNGs, read back by a reader of their own."""

import struct
import zlib

import numpy as np
import pytest

from forecourt.sim.raster import Anchor, Raster


def pixels(png: bytes) -> np.ndarray:
    """What is in a PNG of this kind (RFC 2083), its checksums checked."""
    assert png[:8] == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + content),)
        chunks[kind] = content
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    wide, high, depth, colours, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colours, rest) == (8, 2, [0, 0, 0])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(high, 1 + 3 * wide)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(high, wide, 3)


def test_a_line_is_where_it_was_drawn_in_its_colour() -> None:
    raster = Raster(30, 20)
    raster.line([(5.0, 10.0), (25.0, 10.0)], "#102030")
    page = pixels(raster.png())
    assert page.shape == (20, 30, 3)
    rows, columns = np.nonzero((page != 255).any(axis=2))
    assert set(rows) == {10}
    assert (columns.min(), columns.max()) == (5, 25)
    assert page[10, 15].tolist() == [0x10, 0x20, 0x30]


def test_what_is_off_the_page_is_not_drawn() -> None:
    raster = Raster(30, 20)
    raster.line([(-50.0, -50.0), (-10.0, -20.0)], "#000000")
    raster.line([(10.0, 300.0), (400.0, 300.0)], "#000000")
    raster.text(200.0, 10.0, "far", "#000000")
    assert (pixels(raster.png()) == 255).all()


@pytest.mark.parametrize(("anchor", "first", "last"), [("start", 50, 70), ("middle", 35, 65), ("end", 25, 50)])
def test_a_text_is_beside_its_anchor(anchor: Anchor, first: int, last: int) -> None:
    raster = Raster(100, 30)
    raster.text(50.0, 20.0, "12", "#000000", anchor)
    rows, columns = np.nonzero((pixels(raster.png()) < 255).any(axis=2))
    assert len(rows) > 20
    assert first <= columns.min() < columns.max() <= last
    assert 5 <= rows.min() < rows.max() <= 20


def test_an_unknown_letter_is_a_box_and_each_known_one_its_own() -> None:
    def drawn(text: str) -> bytes:
        raster = Raster(20, 20)
        raster.text(2.0, 15.0, text, "#000000")
        return raster.png()

    assert drawn("\u4e2d") == drawn("@") != drawn(" ")
    letters = "0123456789abcdefghijklmnopqrstuvwxyz-.:@ ADFJMNOSW"
    assert len({drawn(letter) for letter in letters}) == len(letters)
