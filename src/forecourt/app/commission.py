"""`forecourt controller commission`: have a running controller find out what a station does with limits."""

import time
from typing import Annotated, Any, Final
from urllib.parse import quote

import httpx
import msgspec
import typer

from forecourt.api.site.views import CommissioningView
from forecourt.app.running import Exit, fail
from forecourt.controller.capability import Capability

DEFAULT_URL: Final = "http://127.0.0.1:9180"
_LOOKS_EVERY_S: Final = 0.5
_TIMEOUT_S: Final = 30.0


def commission(
    station: Annotated[str, typer.Argument(help="The station's id; it must be connected to the controller.")],
    evse: Annotated[int | None, typer.Option(min=1, help="Which EVSE. [default: where a car charges, or 1]")] = None,
    reboot: Annotated[bool, typer.Option("--reboot", help="It may be restarted, where nobody charges.")] = False,
    url: Annotated[str, typer.Option(help="The controller's administration.")] = DEFAULT_URL,
    token: Annotated[
        str | None, typer.Option(envvar="FORECOURT_SITE_TOKEN", help="A token of the administration.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Find out what a station does with limits, and have the controller count on it for all stations of the model.

    Without a car it says which forms of limit are accepted, whether the composite schedule tells the truth, what is
    measured and, with --reboot, whether limits outlive a restart. With a car that charges there, also how soon and how
    exactly limits are obeyed, and whether a limit ends by itself when nothing more is said: two or three minutes.

    Nothing that it does raises what the station may draw. Exit code 1: it could not be found out.
    """
    if token is None:
        fail("--token: is missing; see `forecourt controller create-token`", Exit.USAGE)
    path = f"/stations/{quote(station, safe='')}/commissioning"
    headers = {"authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S) as client:
            view = _asked(client, "POST", path, {"evse_id": evse, "reboot": reboot})
            step = None
            while view.running:
                if view.step != step and not as_json:
                    step = view.step
                    typer.echo(f"... {step}", err=True)
                time.sleep(_LOOKS_EVERY_S)
                view = _asked(client, "GET", path)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fail(f"{url}: {error}", Exit.UNAVAILABLE)
    if as_json:
        typer.echo(msgspec.json.encode(view))
    elif view.capability is not None and view.failed is None:
        typer.echo("\n".join(told(view.capability)))
    if view.failed is not None:
        fail(view.failed, Exit.FAILED)


def told(capability: Capability) -> list[str]:
    """For a person."""
    forms = ", ".join(form.text() for form in capability.forms)
    reaction = None if capability.reaction_s is None else f"within {capability.reaction_s:g} s"
    over = None if capability.over_a is None else f"{capability.over_a:g} A above it"
    late = None if capability.lease_late_s is None else f"{capability.lease_late_s:g} s late"
    rows: list[tuple[str, Any]] = [
        ("limits it takes", forms or "none"),
        ("limits of a transaction", capability.transaction_profiles),
        ("0 A", capability.takes_zero),
        ("one phase of three", capability.takes_fewer_phases),
        ("charges at", None if capability.smallest_a is None else f"{capability.smallest_a:g} A"),
        ("obeys a lower limit", reaction or capability.obeys),
        ("then draws at most", over),
        ("obeys the end of a lease", late or capability.dead_man),
        ("composite schedule is true", capability.composite_true),
        ("limits outlive a restart", capability.survives_reboot),
        ("currents by phase", capability.by_phase),
        ("measures", ", ".join(capability.measurands) or None),
    ]
    width = max(len(name) for name, _ in rows)
    words = {None: "not seen", True: "yes", False: "no"}
    return [f"{name:<{width}}  {words.get(value, value)}" for name, value in rows]


def _asked(client: httpx.Client, method: str, path: str, body: Any = None) -> CommissioningView:
    answer = client.request(method, path, json=body)
    if answer.is_error:
        try:
            why = answer.json().get("detail") or answer.json().get("title")
        except (ValueError, AttributeError):
            why = answer.reason_phrase
        fail(str(why), Exit.UNAVAILABLE if answer.status_code >= 500 else Exit.FAILED)
    return msgspec.json.decode(answer.content, type=CommissioningView)
