"""Lines and short texts as a PNG, with nothing but numpy and zlib.

Guarantees
* A picture is what it would be on paper twice as large, made smaller: lines and letters have soft edges.
* The file is a plain PNG (8 bits a channel, RGB, one IDAT), and the same for the same drawing.
* Letters are those of this module; what it has no letter for is a box.
"""

import itertools
import struct
import zlib
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Anchor = Literal["start", "middle", "end"]

_FINER: Final = 2
_DOT: Final = 3
"""Fine pixels of one dot of a letter."""
_WIDE: Final = 5
_HIGH: Final = 9
_BASELINE: Final = 7

# Rows of five dots from the top; the last two are below the baseline.
_LETTERS: Final = {
    " ": "00 00 00 00 00 00 00 00 00",
    "-": "00 00 00 0e 00 00 00 00 00",
    ".": "00 00 00 00 00 0c 0c 00 00",
    ":": "00 0c 0c 00 0c 0c 00 00 00",
    "0": "0e 11 13 15 19 11 0e 00 00",
    "1": "04 0c 04 04 04 04 0e 00 00",
    "2": "0e 11 01 06 08 10 1f 00 00",
    "3": "0e 11 01 06 01 11 0e 00 00",
    "4": "02 06 0a 12 1f 02 02 00 00",
    "5": "1f 10 1e 01 01 11 0e 00 00",
    "6": "06 08 10 1e 11 11 0e 00 00",
    "7": "1f 01 02 04 04 08 08 00 00",
    "8": "0e 11 11 0e 11 11 0e 00 00",
    "9": "0e 11 11 0f 01 02 0c 00 00",
    "A": "04 0a 11 11 1f 11 11 00 00",
    "D": "1e 11 11 11 11 11 1e 00 00",
    "F": "1f 10 10 1e 10 10 10 00 00",
    "J": "07 02 02 02 02 12 0c 00 00",
    "M": "11 1b 15 15 11 11 11 00 00",
    "N": "11 19 19 15 13 13 11 00 00",
    "O": "0e 11 11 11 11 11 0e 00 00",
    "S": "0f 10 10 0e 01 01 1e 00 00",
    "W": "11 11 11 15 15 1b 11 00 00",
    "a": "00 00 0e 01 0f 11 0f 00 00",
    "b": "10 10 1e 11 11 11 1e 00 00",
    "c": "00 00 0e 11 10 11 0e 00 00",
    "d": "01 01 0f 11 11 11 0f 00 00",
    "e": "00 00 0e 11 1f 10 0e 00 00",
    "f": "06 09 08 1c 08 08 08 00 00",
    "g": "00 00 0f 11 11 11 0f 01 0e",
    "h": "10 10 16 19 11 11 11 00 00",
    "i": "04 00 0c 04 04 04 0e 00 00",
    "j": "02 00 06 02 02 02 02 12 0c",
    "k": "10 10 12 14 18 14 12 00 00",
    "l": "0c 04 04 04 04 04 0e 00 00",
    "m": "00 00 1a 15 15 15 15 00 00",
    "n": "00 00 16 19 11 11 11 00 00",
    "o": "00 00 0e 11 11 11 0e 00 00",
    "p": "00 00 1e 11 11 11 1e 10 10",
    "q": "00 00 0f 11 11 11 0f 01 01",
    "r": "00 00 16 19 10 10 10 00 00",
    "s": "00 00 0f 10 0e 01 1e 00 00",
    "t": "08 08 1c 08 08 09 06 00 00",
    "u": "00 00 11 11 11 13 0d 00 00",
    "v": "00 00 11 11 11 0a 04 00 00",
    "w": "00 00 11 11 15 15 0a 00 00",
    "x": "00 00 11 0a 04 0a 11 00 00",
    "y": "00 00 11 11 11 11 0f 01 0e",
    "z": "00 00 1f 02 04 08 1f 00 00",
}
_BOX: Final = "1f 11 11 11 11 11 1f 00 00"


class Raster:
    """A white page; coordinates are pixels from its upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self._page: NDArray[np.uint8] = np.full((height * _FINER, width * _FINER, 3), 255, np.uint8)

    def line(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        """From one point to the next; `colour` as in `#1f6f8b`. What is off the page isn't drawn."""
        at = np.array(points, np.float64) * _FINER
        ink = _ink(colour)
        for (x, y), (to_x, to_y) in itertools.pairwise(at.tolist()):
            steps = int(max(abs(to_x - x), abs(to_y - y))) + 1
            columns = np.rint(np.linspace(x, to_x, steps + 1)).astype(np.intp)
            rows = np.rint(np.linspace(y, to_y, steps + 1)).astype(np.intp)
            for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
                self._dots(rows + down, columns + right, ink)

    def text(self, x: float, y: float, text: str, colour: str, anchor: Anchor = "start") -> None:
        """Letters on the baseline `y`."""
        columns = (_WIDE + 1) * _DOT * len(text)
        left = round(x * _FINER) - {"start": 0, "middle": columns // 2, "end": columns}[anchor]
        top = round(y * _FINER) - _BASELINE * _DOT
        ink = _ink(colour)
        for place, letter in enumerate(text):
            dots = np.kron(_dots(letter), np.ones((_DOT, _DOT), np.uint8))
            rows, across = np.nonzero(dots)
            self._dots(top + rows, left + place * (_WIDE + 1) * _DOT + across, ink)

    def png(self) -> bytes:
        """The file."""
        high, wide, _ = self._page.shape
        small = self._page.reshape(high // _FINER, _FINER, wide // _FINER, _FINER, 3).mean(axis=(1, 3)).astype(np.uint8)
        lines = np.zeros((len(small), 1 + small[0].size), np.uint8)  # each begins with its filter: none
        lines[:, 1:] = small.reshape(len(small), -1)
        header = struct.pack(">IIBBBBB", wide // _FINER, high // _FINER, 8, 2, 0, 0, 0)
        body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + _chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + body

    def _dots(self, rows: NDArray[np.intp], columns: NDArray[np.intp], ink: NDArray[np.uint8]) -> None:
        high, wide, _ = self._page.shape
        here = (rows >= 0) & (rows < high) & (columns >= 0) & (columns < wide)
        self._page[rows[here], columns[here]] = ink


def _dots(letter: str) -> NDArray[np.uint8]:
    rows = [int(row, 16) for row in _LETTERS.get(letter, _BOX).split()]
    return np.array([[row >> (_WIDE - 1 - column) & 1 for column in range(_WIDE)] for row in rows], np.uint8)


def _ink(colour: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(colour.removeprefix("#")), np.uint8)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
