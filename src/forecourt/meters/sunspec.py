"""SunSpec: meters and inverters that describe themselves, found by walking their chain of models.

Guarantees
* The chain is looked for at the addresses that the specification names (40000, 50000, 0) and walked by the lengths it
  states, so that it doesn't matter which other models stand before the one that is wanted.
* The first meter (models 201 to 204 with scale factors, 211 to 214 with floats) is read; where there is none, the first
  inverter (101 to 103, 111 to 113), whose generation counts as export.
* "Not implemented" (0x8000, not a number, zeros where the specification says so) is left out.

SunSpec Information Model Specification, and the model definitions `model_203.json`, `model_213.json`, `model_103.json`,
`model_113.json` of the SunSpec Alliance (https://github.com/sunspec/models).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from forecourt.meters.register_map import NumberType, number

ReadHolding = Callable[[int, int], Awaitable[Sequence[int]]]
"""Read so many holding registers from an address."""

BASES: Final = (40000, 50000, 0)
_MARK: Final = (0x5375, 0x6E53)
_END: Final = 0xFFFF
_LONGEST_CHAIN: Final = 64
_AT_A_TIME: Final = 120

_INTEGER_METERS: Final = range(201, 205)
_FLOAT_METERS: Final = range(211, 215)
_INTEGER_INVERTERS: Final = range(101, 104)
_FLOAT_INVERTERS: Final = range(111, 114)


class Point(NamedTuple):
    """Where a quantity is in a model, counted from its id; and where its scale factor is."""

    offset: int
    type: NumberType
    scale_factor: int | None = None
    factor: float = 1.0


def _three(
    name: str, first: int, step: int, kind: NumberType, scale_factor: int | None, factor: float = 1.0
) -> dict[str, Point]:
    return {name.format(line): Point(first + step * (line - 1), kind, scale_factor, factor) for line in (1, 2, 3)}


INTEGER_METER: Final[dict[str, Point]] = {
    **_three("current_l{}_a", 3, 1, "int16", 6),
    **_three("voltage_l{}_v", 8, 1, "int16", 15),
    "power_w": Point(18, "int16", 22),
    **_three("power_l{}_w", 19, 1, "int16", 22),
    "export_wh": Point(38, "uint32", 54),
    "import_wh": Point(46, "uint32", 54),
}
FLOAT_METER: Final[dict[str, Point]] = {
    **_three("current_l{}_a", 4, 2, "float32", None),
    **_three("voltage_l{}_v", 12, 2, "float32", None),
    "power_w": Point(28, "float32"),
    **_three("power_l{}_w", 30, 2, "float32", None),
    "export_wh": Point(60, "float32"),
    "import_wh": Point(68, "float32"),
}
INTEGER_INVERTER: Final[dict[str, Point]] = {
    **_three("current_l{}_a", 3, 1, "uint16", 6, -1.0),
    **_three("voltage_l{}_v", 10, 1, "uint16", 13),
    "power_w": Point(14, "int16", 15, -1.0),
    "export_wh": Point(24, "uint32", 26),
}
FLOAT_INVERTER: Final[dict[str, Point]] = {
    **_three("current_l{}_a", 4, 2, "float32", None, -1.0),
    **_three("voltage_l{}_v", 16, 2, "float32", None),
    "power_w": Point(22, "float32", None, -1.0),
    "export_wh": Point(32, "float32"),
}
_POINTS: Final = (
    (_INTEGER_METERS, INTEGER_METER),
    (_FLOAT_METERS, FLOAT_METER),
    (_INTEGER_INVERTERS, INTEGER_INVERTER),
    (_FLOAT_INVERTERS, FLOAT_INVERTER),
)


class Model(NamedTuple):
    """A model in the chain of a device."""

    number: int
    address: int
    """Of its id."""
    length: int
    """Registers after id and length."""


class NoSunSpecError(Exception):
    """The device doesn't describe itself, or has nothing that measures power."""


async def models_of(read: ReadHolding, refused: type[Exception]) -> list[Model]:
    """The chain of models. `refused` is what `read` raises where a register isn't there."""
    for base in BASES:
        try:
            mark = await read(base, 2)
        except refused:
            continue
        if tuple(mark) == _MARK:
            return await _walk(read, base + 2)
    raise NoSunSpecError('expected "SunS" at 40000, 50000 or 0')


async def _walk(read: ReadHolding, address: int) -> list[Model]:
    found: list[Model] = []
    while len(found) < _LONGEST_CHAIN and address < 65535:
        model, length = await read(address, 2)
        if model == _END:
            break
        found.append(Model(model, address, length))
        address += 2 + length
    return found


def measuring(models: Sequence[Model]) -> Model:
    """The model to read. NoSunSpecError if none measures power."""
    for numbers, _ in _POINTS:
        for model in models:
            if model.number in numbers:
                return model
    numbers_there = ", ".join(str(model.number) for model in models)
    raise NoSunSpecError(f"expected a meter or an inverter, found the models {numbers_there or 'none'}")


async def values_of(read: ReadHolding, model: Model) -> dict[str, float]:
    """What a model says, by names of `QUANTITIES`."""
    points = next(points for numbers, points in _POINTS if model.number in numbers)
    wanted = min(2 + model.length, 2 + max(_last(point) for point in points.values()))
    registers: list[int] = []
    while len(registers) < wanted:
        count = min(_AT_A_TIME, wanted - len(registers))
        registers += await read(model.address + len(registers), count)
    found: dict[str, float] = {}
    for name, point in points.items():
        width = 2 if point.type in ("uint32", "float32") else 1
        value = number(registers[point.offset : point.offset + width], point.type)
        if value is None or (name.endswith("_wh") and value == 0.0 and point.type == "uint32"):
            continue
        if point.scale_factor is not None:
            exponent = number(registers[point.scale_factor : point.scale_factor + 1], "int16")
            if exponent is None:
                continue
            value *= 10.0**exponent
        found[name] = value * point.factor
    return found


def _last(point: Point) -> int:
    return max(point.offset + 1, point.scale_factor or 0)
