"""`/metrics`: what is counted, for whom, and that the dashboard knows nothing else."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families

from forecourt.api.metrics import Exposition, may_look
from forecourt.api.settings import ApiSettings
from forecourt.csms.measures import MOST_NAMES, OTHER, CallOutcome, Histogram, Measures
from tests.api.houses import House

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "forecourt.json"
NAME = re.compile(r"\bforecourt_\w+")


async def numbers(house: House) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = await house.client.get("/metrics", headers={"authorization": ""})
    assert response.status_code == 200
    assert response.headers["content-type"] == CONTENT_TYPE_LATEST
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def labels(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


async def test_calls_connections_commands_and_commits_are_counted(house: House) -> None:
    async with house.station("CS1") as station:
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        await station.call("StatusNotification", status)
        assert (await station.call("Dance", {}))[0] == 4
        command = await house.client.post(
            "/api/v1/commands/CLEAR_CACHE", json={"station_id": "CS1"}, headers={"prefer": "wait=10"}
        )
        assert command.json()["state"] == "accepted"
        found = await numbers(house)
        assert found["forecourt_connections", labels(protocol="ocpp1.6", security_profile="0")] == 1
        assert found["forecourt_stations", labels(link="connected")] == 1
        assert found["forecourt_connectors", labels(view="unplugged")] == 1
    answered = labels(direction="in", action="StatusNotification", outcome="answered")
    assert found["forecourt_calls_total", answered] == 1
    assert found["forecourt_calls_total", labels(direction="in", action="other", outcome="refused")] == 1
    assert found["forecourt_calls_total", labels(direction="out", action="ClearCache", outcome="answered")] == 1
    assert found["forecourt_call_answer_seconds_count", labels(action="BootNotification")] == 1
    assert found["forecourt_call_answer_seconds_sum", labels(action="BootNotification")] > 0
    assert found["forecourt_commands_total", labels(state="accepted")] == 1
    assert found["forecourt_handshakes_total", labels(outcome="admitted")] == 1
    commits = found["forecourt_store_commit_seconds_count", ()]
    assert 0 < commits <= found["forecourt_store_batch_units_sum", ()]


async def test_an_action_nobody_knows_has_no_series_of_its_own(house: House) -> None:
    async with house.station("CS1") as station:
        for number in range(20):
            await station.call(f"Vendor{number}", {})
    response = await house.client.get("/metrics")
    assert "Vendor" not in response.text


def test_names_are_bounded_whatever_comes() -> None:
    measures = Measures()
    for number in range(3 * MOST_NAMES):
        measures.came(f"A{number}", CallOutcome.ANSWERED, 0.1)
        measures.asked(f"A{number}", CallOutcome.ANSWERED, 0.1)
    assert len(measures.answer_s) == len(measures.command_s) == MOST_NAMES + 1
    assert measures.answer_s[OTHER].count == 2 * MOST_NAMES
    assert len(measures.calls) == 2 * (MOST_NAMES + 1)


def test_a_value_at_a_bound_is_within_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)
    assert histogram.cumulated() == [(1.0, 2), (2.0, 4), (float("inf"), 5)]
    assert histogram.total == 14.0


TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("settings", "authorization", "address", "forwarded", "may"),
    [
        (ApiSettings(), None, "127.0.0.1", False, True),
        (ApiSettings(), None, "::1", False, True),
        (ApiSettings(), None, "::ffff:127.0.0.1", False, True),
        (ApiSettings(), None, "192.0.2.1", False, False),
        (ApiSettings(), None, "127.0.0.1", True, False),
        (ApiSettings(), None, None, False, False),
        (ApiSettings(), None, "nowhere", False, False),
        (ApiSettings(), "Bearer None", "192.0.2.1", False, False),
        (ApiSettings(metrics_token=TOKEN), f"Bearer {TOKEN}", "192.0.2.1", True, True),
        (ApiSettings(metrics_token=TOKEN), f"Bearer {TOKEN}x", "192.0.2.1", False, False),
        (ApiSettings(metrics_token=TOKEN), "Bearer é", "192.0.2.1", False, False),
        (ApiSettings(metrics_from=("192.0.2.0/24",)), None, "192.0.2.1", False, True),
        (ApiSettings(metrics_from=()), None, "127.0.0.1", False, False),
    ],
)
def test_who_may_look(
    settings: ApiSettings, authorization: str | None, address: str | None, forwarded: bool, may: bool
) -> None:
    assert may_look(settings, authorization, address, forwarded=forwarded) is may


async def test_who_comes_through_a_proxy_needs_the_token(house: House) -> None:
    response = await house.client.get("/metrics", headers={"x-forwarded-for": "192.0.2.1"})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("options", "field"),
    [({"metrics_token": "short"}, "metrics_token"), ({"metrics_from": ("10.0.0.1/8",)}, "metrics_from")],
)
def test_what_cannot_be_is_refused_by_name(options: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        ApiSettings(**options)  # type: ignore[arg-type]


async def test_every_metric_of_the_dashboard_is_one_of_ours(house: House) -> None:
    ours: set[str] = set()
    for family in Exposition(house.context).registry.collect():
        ends = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}[family.type]
        ours |= {family.name + end for end in ends}
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for expression in expressions for name in NAME.findall(expression)}
    assert named <= ours
    families = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in ours}
    assert families == {name.removesuffix("_bucket") for name in named}, "and each of ours is shown"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
