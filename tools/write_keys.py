"""Write docs/keys.md: every variable of the station, from the table that the station itself obeys.

`--check` fails when the page differs from what this would write.
"""

import sys
from pathlib import Path

from forecourt.dialect.v16_keys import has_key, key_of, text_of
from forecourt.domain.variable import Mutability
from forecourt.station.variable_spec import Kind, VariableSpec
from forecourt.station.variable_table import TABLE

PAGE = Path(__file__).parent.parent / "docs" / "keys.md"
LARGEST = 2**31 - 1
"""What stands for no limit."""

INTRODUCTION = """# What can be set on a station

Written by `tools/write_keys.py` from `src/forecourt/station/variable_table.py`: each of these is obeyed.

The first column is the component and variable of OCPP 2.0.1, an instance in brackets; the second the configuration key
of OCPP 1.6, where it has one. `ConfigurationKey` is the component of keys that the appendices of 2.0.1 do not have.
Either name gives the initial value in the station's configuration file. RW: a CSMS may change it; R: it may only read
it. A new value is kept over restarts and holds at once, unless *reboot* says otherwise.
"""

HEAD = (
    "| component and variable (2.x) | key (1.6) | type | range | access | default | reboot | effect |\n"
    "|---|---|---|---|---|---|---|---|"
)

ACCESS = {Mutability.READ_ONLY: "R", Mutability.READ_WRITE: "RW", Mutability.WRITE_ONLY: "W"}


def kind(spec: VariableSpec) -> str:
    """What its text is."""
    word = "list of measurands" if spec.kind is Kind.MEASURANDS else spec.kind.value
    return f"{word}, {spec.unit}" if spec.unit else word


def limits(spec: VariableSpec) -> str:
    """What may be in it."""
    if spec.mutability is Mutability.READ_ONLY:
        return ""
    if spec.kind is Kind.INTEGER:
        least = "" if spec.minimum is None else str(spec.minimum)
        most = "" if spec.maximum in {None, LARGEST} else str(spec.maximum)
        return f"{least} to {most}" if most else f"from {least}" if least else ""
    if spec.choices:
        return ", ".join(spec.choices)
    if spec.maximum is not None:
        return f"at most {spec.maximum} " + ("characters" if spec.kind is Kind.STRING else "members")
    return ""


def default(spec: VariableSpec) -> str:
    """What holds until somebody sets it."""
    if spec.follows is not None:
        return f"as {spec.follows}"
    if spec.default is None:
        return "of the hardware"
    return f"`{spec.default}`" if spec.default else "empty"


def key(spec: VariableSpec) -> str:
    """Its key in 1.6."""
    if not has_key(spec.ref):
        return ""
    said = "" if spec.default is None else text_of(spec.ref, spec.default)
    return key_of(spec.ref) + (f" (`{said}`)" if spec.default is not None and said != spec.default else "")


def row(spec: VariableSpec) -> str:
    """One line of the table."""
    cells = (
        f"`{spec.ref}`",
        key(spec),
        kind(spec),
        limits(spec),
        ACCESS[spec.mutability],
        default(spec),
        "yes" if spec.needs_reboot else "",
        spec.does,
    )
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def page() -> str:
    """The page: by component, in the order of the table within each."""
    rows = [row(spec) for spec in sorted(TABLE, key=lambda spec: spec.ref.component)]
    return "\n".join((INTRODUCTION, HEAD, *rows, ""))


def main() -> int:
    """Write the page, or say whether it is true."""
    written = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != written:
            print("docs/keys.md differs from the station's table; run: make keys")
            return 1
        return 0
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
