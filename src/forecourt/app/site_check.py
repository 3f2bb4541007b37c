"""`forecourt controller check`: the proof that a controller gives before it starts, as text and as JSON.

Guarantees (`controller.md` §3.5)
* The very numbers of the start: every EVSE at its fallback and every background at its declared worst, against each
  limit of each node, margins taken off. Nothing is started.
* Exit code 0: it holds. 1: it doesn't, and each limit that fails is told with its numbers. 2: the file is wrong.
* What the EVSEs could draw if nobody limited them stands beside it; that may be more than any fuse bears.
"""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from forecourt.allocation.check import Standing, prove_fallbacks, standings
from forecourt.allocation.demand import Load
from forecourt.allocation.explanation import LimitKind
from forecourt.app.config import ConfigError
from forecourt.app.running import Exit, fail
from forecourt.app.site_file import read_site
from forecourt.domain.site import Site
from forecourt.quantities import Phase


class CheckedLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit of a node; watts for `power`, ampere otherwise."""

    node: str
    kind: LimitKind
    phase: Phase | None
    over: Phase | None
    """The lower line of an `asymmetry`."""
    rating: float
    """As it is written in the file."""
    margin: float
    limit: float
    """What is left of it."""
    fallbacks: float
    background: float
    worst: float
    """Both together; where currents add as phasors it is less than their sum."""
    unlimited: float
    """What might flow if no EVSE were limited."""
    holds: bool


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The whole proof."""

    holds: bool
    evses: int
    limits: tuple[CheckedLimit, ...]


def checked(site: Site) -> Check:
    """The proof for a site."""
    proof = prove_fallbacks(site)
    unlimited = standings(site, [Load(point.key, point.maximum_a) for point in site.evses])
    limits = tuple(_limit(site, one, most) for one, most in zip(proof.standings, unlimited, strict=True))
    return Check(holds=proof.holds, evses=len(site.evses), limits=limits)


def check(
    site: Annotated[Path, typer.Argument(help="The site in TOML; its layout is in docs/site-file.md.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Prove that no fuse is overloaded if every station falls back, under the worst background; start nothing.

    Exit code 1: it does not hold; the nodes that fail are named with their numbers. 2: the file is wrong.
    """
    try:
        found = checked(read_site(site).site)
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        typer.echo("\n".join(_lines(found)))
    if not found.holds:
        raise typer.Exit(Exit.FAILED)


def _limit(site: Site, standing: Standing, unlimited: Standing) -> CheckedLimit:
    bound = standing.bound
    node = site.nodes[site.node_index[bound.node]]
    rating = standing.limit
    if bound.kind is LimitKind.FUSE and bound.phase is not None:
        rating = node.rating_a[bound.phase]
    elif bound.kind is LimitKind.POWER and node.power_limit_w is not None:
        rating = node.power_limit_w
    return CheckedLimit(
        node=bound.node,
        kind=bound.kind,
        phase=bound.phase,
        over=bound.over,
        rating=rating,
        margin=rating - standing.limit,
        limit=standing.limit,
        fallbacks=standing.worst - standing.background,
        background=standing.background,
        worst=standing.worst,
        unlimited=unlimited.worst,
        holds=standing.holds,
    )


def _lines(found: Check) -> list[str]:
    wide = max(len(one.node) for one in found.limits)
    heads = ("fallbacks", "background", "worst", "rating", "margin", "free", "unlimited")
    lines = [f"{'node':{wide}}  {'limit':15}" + "".join(f"{head:>12}" for head in heads)]
    for one in found.limits:
        free = one.limit - one.worst
        numbers = (one.fallbacks, one.background, one.worst, one.rating, one.margin, free, one.unlimited)
        unit, scale = ("kW", 1000.0) if one.kind is LimitKind.POWER else ("A", 1.0)
        shown = "".join(f"{_plain(number / scale):>9} {unit:2}" for number in numbers)
        lines.append(f"{one.node:{wide}}  {_named(one):15}{shown}{'' if one.holds else '  FAILS'}")
    failing = [one for one in found.limits if not one.holds]
    if found.holds:
        lines.append(f"It holds: {found.evses} EVSEs may fall back at any time, and no limit is exceeded")
    for one in failing:
        unit, scale = ("kW", 1000.0) if one.kind is LimitKind.POWER else ("A", 1.0)
        over = _plain((one.worst - one.limit) / scale)
        worst, limit = _plain(one.worst / scale), _plain(one.limit / scale)
        lines.append(
            f"It does not hold: {one.node}, {_named(one)}: {worst} {unit} may flow where {limit} {unit} are allowed, "
            f"{over} {unit} too much; lower fallback_a or background_a below it"
        )
    return lines


def _named(one: CheckedLimit) -> str:
    match one.kind:
        case LimitKind.FUSE:
            return f"fuse {one.phase}"
        case LimitKind.POWER:
            return "power"
        case LimitKind.ASYMMETRY:
            return f"{one.phase} over {one.over}"


def _plain(number: float) -> str:
    return f"{number + 0.0:.1f}".replace("-0.0", "0.0")
