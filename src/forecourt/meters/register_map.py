"""Register maps: where a model of Modbus meter keeps what; read from TOML that ships with the package.

Guarantees
* Each map names the document that it was taken from.
* Only registers that the map names are read, in as few requests as the model allows: some answer with an error to a
  register that isn't there.
* What a model says for "not available" (not a number; the most positive or most negative integer) is left out.
"""

import math
import struct
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from forecourt.meters.quantities import QUANTITIES

NumberType = Literal["int16", "uint16", "int32", "uint32", "float32", "int64", "uint64"]

_SHAPES: Final[dict[str, tuple[int, str]]] = {
    "int16": (1, "h"), "uint16": (1, "H"), "int32": (2, "i"), "uint32": (2, "I"),
    "float32": (2, "f"), "int64": (4, "q"), "uint64": (4, "Q"),
}  # fmt: skip


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one quantity is."""

    address: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    """As on the wire, counted from 0."""
    type: NumberType
    scale: float = 1.0
    """What a step of the number is worth, in the unit of the quantity."""

    @property
    def width(self) -> int:
        """How many registers it takes."""
        return _SHAPES[self.type][0]


class RegisterMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model of meter."""

    name: str
    source: str
    url: str = ""
    area: Literal["holding", "input"]
    word_order: Literal["high-first", "low-first"] = "high-first"
    max_registers: Annotated[int, msgspec.Meta(ge=4, le=125)] = 125
    quantities: dict[str, Register]

    def __post_init__(self) -> None:
        for name in self.quantities:
            if name not in QUANTITIES:
                raise ValueError(f"quantities.{name}: expected one of {', '.join(QUANTITIES)}")

    def blocks(self) -> list["Block"]:
        """What to read, in the order of addresses."""
        found: list[Block] = []
        for name, register in sorted(self.quantities.items(), key=lambda item: item[1].address):
            last = found[-1] if found else None
            if (
                last is not None
                and register.address == last.address + last.length
                and last.length + register.width <= self.max_registers
            ):
                found[-1] = Block(last.address, last.length + register.width, (*last.names, name))
            else:
                found.append(Block(register.address, register.width, (name,)))
        return found

    def values(self, block: "Block", registers: Sequence[int]) -> dict[str, float]:
        """What the `registers` of a block say. What isn't available is left out."""
        found: dict[str, float] = {}
        for name in block.names:
            register = self.quantities[name]
            start = register.address - block.address
            value = number(registers[start : start + register.width], register.type, self.word_order)
            if value is not None:
                found[name] = value * register.scale
        return found


class Block(NamedTuple):
    """Registers that follow each other."""

    address: int
    length: int
    names: tuple[str, ...]


def number(registers: Sequence[int], kind: NumberType, word_order: str = "high-first") -> float | None:
    """The number in some registers; None for what stands for none."""
    width, code = _SHAPES[kind]
    if len(registers) != width:
        return None
    words = registers if word_order == "high-first" else registers[::-1]
    raw = struct.pack(f">{width}H", *words)
    value: float = struct.unpack(f">{code}", raw)[0]
    if kind == "float32":
        return value if math.isfinite(value) else None
    bits = width * 16
    unavailable = {2**bits - 1} if kind.startswith("u") else {-(2 ** (bits - 1)), 2 ** (bits - 1) - 1}
    return None if value in unavailable else float(value)


@cache
def shipped_maps() -> Mapping[str, RegisterMap]:
    """The maps of the package, by name of their file."""
    folder = files("forecourt.meters") / "registers"
    return {
        entry.name.removesuffix(".toml"): read_map(entry.read_text(encoding="utf-8"))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name.removesuffix(".toml"))
        if entry.name.endswith(".toml")
    }


def read_map(text: str) -> RegisterMap:
    """A register map in TOML.

    Raises:
        ValueError: it isn't one; the text says why.
    """
    return msgspec.convert(tomllib.loads(text), RegisterMap)
