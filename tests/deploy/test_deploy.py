"""Everything in `deploy/`, looked at as far as this machine can: by its own program where there is one, else by eye."""

import importlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml  # type: ignore[import-untyped]
from typer.testing import CliRunner

from forecourt.app.csms import CsmsFile
from forecourt.app.main import app

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "forecourt"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
LINUX = sys.platform == "linux" and platform.machine() == "x86_64"
"""Where all of `make deploy-tools` is to be had."""
COMPOSE = sorted((DEPLOY / "compose").glob("*.yaml"))


def ran(*command: str | Path, **environment: str) -> str:
    """What the program says; skipped where there is none."""
    program = shutil.which(str(command[0])) or shutil.which(str(command[0]), path=Path(sys.executable).parent)
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        [program, *map(str, command[1:])],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# HAProxy


def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    text = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
    for number in (1, 2, 3):  # names that only the containers' network has
        text = re.sub(rf"server csms-{number} csms-{number}:", f"server csms-{number} 127.0.0.{number}:", text)
    (tmp_path / "haproxy.cfg").write_text(text, encoding="utf-8")
    assert "WARNING" not in ran("haproxy", "-c", "-f", tmp_path / "haproxy.cfg")


def test_metrics_are_not_passed_on() -> None:
    text = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
    assert "http-request deny deny_status 404 if { path /metrics }" in text


# systemd


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text(encoding="utf-8").replace("/opt/forecourt/bin/forecourt", "/bin/true")
    (tmp_path / unit.name).write_text(text, encoding="utf-8")
    said = ran("systemd-analyze", "verify", tmp_path / unit.name)
    assert unit.name not in said, said


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_can_do_little(unit: Path) -> None:
    lines = unit.read_text(encoding="utf-8").splitlines()
    for wanted in ("DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="):
        assert wanted in lines


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_not_killed_for_what_it_asks(unit: Path) -> None:
    """Loading numpy asks for `mbind`, which is among `@resources`: with the default it ends in SIGSYS."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("SystemCallFilter=~") for line in lines)
    assert "SystemCallErrorNumber=EPERM" in lines


def test_there_is_a_unit_for_each_of_the_two() -> None:
    assert [unit.name for unit in UNITS] == ["forecourt-controller.service", "forecourt-csms.service"]


# Containers


def test_the_image_is_built_in_stages_and_is_nobodys() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    words = [line.split()[0] for line in lines if re.match(r"[A-Z]+ ", line)]
    assert words.count("FROM") == 2
    assert set(words) <= {
        "ARG", "FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD",
        "ENTRYPOINT",
    }  # fmt: skip
    last = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER 10001:10001" in last
    assert any(line.startswith("HEALTHCHECK") for line in last)


def test_what_the_image_is_made_of_is_there() -> None:
    root = DEPLOY.parent
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for line in (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (root / source).exists(), source
                assert f"!{source.removeprefix('./')}" in kept, source


def test_the_image_has_what_its_wheel_is_built_with() -> None:
    hook = (DEPLOY.parent / "hatch_build.py").read_text(encoding="utf-8")
    assert '"tools" / "build_console.py"' in hook
    assert "COPY tools/build_console.py ./tools/build_console.py" in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_hadolint_has_nothing_to_say() -> None:
    if LINUX and os.environ.get("CI"):
        assert shutil.which("hadolint", path=Path(sys.executable).parent), "make deploy-tools"
    assert ran("hadolint", DEPLOY / "Dockerfile") == ""


def test_the_image_knows_its_database() -> None:
    """So that `create-admin` in a container is about the books of the CSMS that runs there."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert "FORECOURT_DATABASE=sqlite:////var/lib/forecourt/csms.sqlite" in text
    assert "--database" not in text
    three = yaml.safe_load((DEPLOY / "compose" / "three.yaml").read_text(encoding="utf-8"))
    assert "FORECOURT_DATABASE" in three["x-csms"]["environment"]


@pytest.mark.parametrize("file", COMPOSE, ids=lambda path: path.name)
def test_compose_takes_the_file(file: Path) -> None:
    ran("docker-compose", "--file", file, "config", "--quiet", FORECOURT_DATABASE_PASSWORD="letters1")


@pytest.mark.parametrize("file", COMPOSE, ids=lambda path: path.name)
def test_compose_files_are_whole(file: Path) -> None:
    made = yaml.safe_load(file.read_text(encoding="utf-8"))
    services = made["services"]
    volumes = set(made.get("volumes") or {})
    for name, service in services.items():
        assert "image" in service, name
        for each in service.get("volumes", []):
            source = each.split(":")[0]
            assert (file.parent / source).exists() if source.startswith(".") else source in volumes, (name, source)
        assert set(service.get("depends_on", {})) <= set(services)
        if "csms" in name:
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert "127.0.0.1:8080:8080" in published, "the API isn't open to the world by itself"


def test_haproxy_and_the_three_know_each_other() -> None:
    services = yaml.safe_load((DEPLOY / "compose" / "three.yaml").read_text(encoding="utf-8"))["services"]
    named = set(re.findall(r"server (\S+) \1:\d+", (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")))
    assert named == {name for name in services if name.startswith("csms")}


def settings_of(text: str) -> CsmsFile:
    return msgspec.convert(tomllib.loads(text), CsmsFile)


def test_the_configuration_of_the_three_is_one() -> None:
    settings = settings_of((DEPLOY / "compose" / "csms.toml").read_text(encoding="utf-8"))
    settings.bus.check("postgresql://forecourt@postgres/forecourt", settings.csms.unlogged_events)
    grace_s = yaml.safe_load((DEPLOY / "compose" / "three.yaml").read_text(encoding="utf-8"))["x-csms"]
    assert settings.csms.drain_notice_s + settings.csms.drain_s < float(grace_s["stop_grace_period"].rstrip("s"))


# Helm: the chart is made by Helm itself, as a library, and what comes out held against the schemas of Kubernetes

OLDEST, NEWEST = "1.27", "1.37"
"""Of Kubernetes: the chart's `kubeVersion`, and the newest whose schemas are here."""
CHOICES: dict[str, dict[str, Any]] = {
    "default": {},
    "one": {"replicas": 1, "image": {"tag": "1.2.3"}},
    "all": {
        "podMonitor": True,
        "filesClaim": "shared",
        "secrets": ["stations-tls", "api-tls"],
        "image": {"pullSecrets": ["registry"]},
        "stations": {"serviceType": "NodePort", "annotations": {"example.org/kind": "network"}, "port": 443},
        "api": {"tls": True, "port": 443},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "charging", "operator": "Exists"}],
    },
    "inside": {"stations": {"serviceType": "ClusterIP"}},
}


def needed(module: str) -> Any:
    """A module of `make deploy-tools`; where everything must be looked at, its absence is a failure."""
    try:
        return importlib.import_module(module)
    except ImportError:
        (pytest.fail if os.environ.get("CI") and LINUX else pytest.skip)(
            f"{module} is not installed: make deploy-tools"
        )


def rendered(**values: Any) -> dict[str, dict[str, Any]]:
    """The objects that the chart makes, by kind and name."""
    with needed("helm_python").Chart.load(str(CHART)) as chart:
        made = chart.render(values, name="it", namespace="prod")
    found = [
        one
        for name, text in made.items()
        if name.endswith(".yaml")
        for one in yaml.safe_load_all(text)
        if one is not None
    ]
    return {f"{one['kind']} {one['metadata']['name']}": one for one in found}


def pod_of(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    pod: dict[str, Any] = objects["Deployment it-csms"]["spec"]["template"]
    return pod


def test_helm_takes_the_chart() -> None:
    found = needed("helm_python").lint(str(CHART), strict=True)
    assert found["errors"] == []
    assert [one["error"] for one in found["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_what_the_chart_makes(choice: str, version: str) -> None:
    validate = needed("kubernetes_validate").validate
    objects = rendered(**CHOICES[choice])
    assert len(objects) == (6 if choice == "all" else 5)
    for name, one in objects.items():
        if not name.startswith("PodMonitor"):  # of the Prometheus Operator
            validate(one, version, strict=True)


@pytest.mark.parametrize("choice", CHOICES)
def test_the_chart_makes_what_belongs_together(choice: str) -> None:
    objects = rendered(**CHOICES[choice])
    pod = pod_of(objects)
    labels = pod["metadata"]["labels"]
    services = [one for name, one in objects.items() if name.startswith("Service ")]
    selectors = [one["spec"]["selector"] for one in services]
    others = ("Deployment", "PodDisruptionBudget", "PodMonitor")
    selectors += [one["spec"]["selector"]["matchLabels"] for name, one in objects.items() if name.split()[0] in others]
    assert len(selectors) == len(objects) - 1
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert "app.kubernetes.io/version" not in selector, "a Deployment's selector stays as it is"
    (container,) = pod["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for service in services for port in service["spec"]["ports"]} == ports
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", "a database that is gone restarts nobody"
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


@pytest.mark.parametrize("choice", CHOICES)
def test_the_pod_begins_with_options_that_the_csms_has(choice: str) -> None:
    (container,) = pod_of(rendered(**CHOICES[choice]))["spec"]["containers"]
    role, *options = container["args"]
    told = CliRunner().invoke(app, [role, "--help"], env={"COLUMNS": "300", "TERM": "dumb"}).output
    assert all(option.split("=")[0] in told for option in options)
    assert [one["name"] for one in container["env"]] == re.findall(r"env var:\s+(\w+)", told)


def test_the_charts_configuration_is_one() -> None:
    objects = rendered()
    settings = settings_of(objects["Secret it-csms"]["stringData"]["csms.toml"])
    assert settings.bus.urls == ("nats://nats:4222",)
    drained_s = settings.csms.drain_notice_s + settings.csms.drain_s
    assert drained_s < pod_of(objects)["spec"]["terminationGracePeriodSeconds"]


def test_another_configuration_is_another_pod() -> None:
    """Or a change of it would wait for the next restart."""
    text = '[api]\nmetrics_token = "0123456789abcdef"\n'
    changed = rendered(configuration=text)
    assert changed["Secret it-csms"]["stringData"]["csms.toml"] == text
    assert pod_of(changed)["metadata"]["annotations"] != pod_of(rendered())["metadata"]["annotations"]


def test_what_can_be_chosen_is_made() -> None:
    objects = rendered(**CHOICES["all"])
    pod = pod_of(objects)["spec"]
    files = next(each for each in pod["volumes"] if each["name"] == "files")
    assert files["persistentVolumeClaim"] == {"claimName": "shared"}
    (container,) = pod["containers"]
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert places >= {"/run/secrets/stations-tls", "/run/secrets/api-tls"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    assert objects["PodMonitor it-csms"]["spec"]["podMetricsEndpoints"][0]["scheme"] == "https"
    assert objects["Service it-stations"]["spec"]["externalTrafficPolicy"] == "Local"
    inside = rendered(**CHOICES["inside"])["Service it-stations"]["spec"]
    assert "externalTrafficPolicy" not in inside, "Kubernetes refuses it of a service that nobody reaches from outside"
    (one,) = pod_of(rendered(**CHOICES["one"]))["spec"]["containers"]
    assert one["image"] == "forecourt:1.2.3"


@pytest.mark.parametrize(
    "wrong", [{"replica": 2}, {"stations": {"serviceType": "Loadbalancer"}}, {"api": {"tls": "no"}}]
)
def test_a_value_that_nobody_knows_is_refused(wrong: dict[str, Any]) -> None:
    helm = needed("helm_python")
    with pytest.raises(helm.errors.HelmValuesError):
        rendered(**wrong)


# Prometheus and Grafana


def test_prometheus_takes_the_alarms() -> None:
    ran("promtool", "check", "rules", DEPLOY / "prometheus" / "alarms.yaml")


def test_prometheus_takes_what_the_dashboard_asks(tmp_path: Path) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "forecourt.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"asked:{number}", "expr": expression.replace("$__rate_interval", "1m").replace("$job", ".*")}
        for number, expression in enumerate(asked)
    ]
    assert len(rules) > 20
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}), "utf-8")
    ran("promtool", "check", "rules", tmp_path / "asked.yaml")


def test_every_file_here_is_looked_at() -> None:
    looked_at = {"Dockerfile", "Dockerfile.dockerignore", "haproxy.cfg", "csms.toml", "forecourt.json", "alarms.yaml"}
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            known = file.name in looked_at or file in UNITS or file in COMPOSE or CHART in file.parents
            assert known, file
