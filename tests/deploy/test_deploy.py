"""Everything in `deploy/`, looked at as far as this machine can: by its own program where there is one, else by eye."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml  # type: ignore[import-untyped]

from forecourt.app.csms import CsmsFile

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "forecourt"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE = sorted((DEPLOY / "compose").glob("*.yaml"))


def ran(*command: str | Path) -> str:
    """What the program says; skipped where there is none."""
    program = shutil.which(str(command[0]))
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([program, *map(str, command[1:])], capture_output=True, text=True, timeout=60, check=False)
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


def test_there_is_a_unit_for_each_of_the_two() -> None:
    assert [unit.name for unit in UNITS] == ["forecourt-controller.service", "forecourt-csms.service"]


# Containers


def test_the_image_is_built_in_stages_and_is_nobodys() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    words = [line.split()[0] for line in lines if re.match(r"[A-Z]+ ", line)]
    assert words.count("FROM") == 2
    assert set(words) <= {
        "FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD",
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


# Helm: what the chart uses of the template language is little, and is made here; `helm` says the rest where it is


class _Gone(Exception):  # noqa: N818
    """The template says something that this can't read."""


def rendered(name: str, values: dict[str, Any]) -> list[Any]:
    """The objects that a template makes."""
    text = (CHART / "templates" / name).read_text(encoding="utf-8")
    scope = {"Values": values, "Release": {"Name": "it"}}
    out: list[str] = []
    shown = [True]
    for part in re.split(r"(\{\{-?.*?-?\}\})", text):
        if not part.startswith("{{"):
            out += [part] if all(shown) else []
            continue
        if part.startswith("{{-") and out:
            out[-1] = out[-1].rstrip()
        inside = part.strip("{}").strip("- ")
        if inside.startswith("if "):
            shown.append(bool(_value(inside[3:], scope)))
        elif inside == "else":
            shown[-1] = not shown[-1]
        elif inside == "end":
            shown.pop()
        elif all(shown):
            out.append(_text(inside, scope))
    assert shown == [True]
    return [each for each in yaml.safe_load_all("".join(out)) if each is not None]


def _text(expression: str, scope: dict[str, Any]) -> str:
    first, *pipes = [part.strip() for part in expression.split("|")]
    value = _value(first.removeprefix("toYaml "), scope)
    text = yaml.safe_dump(value).rstrip("\n") if first.startswith("toYaml ") else str(value)
    for pipe in pipes:
        word, width = pipe.split()
        if word != "nindent":
            raise _Gone(pipe)
        text = "\n" + "\n".join(" " * int(width) + line if line else line for line in text.splitlines())
    return text


def _value(path: str, scope: dict[str, Any]) -> Any:
    value: Any = scope
    for name in path.strip().removeprefix(".").split("."):
        value = value[name]
    return value


def values(**changed: Any) -> dict[str, Any]:
    return {**yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")), **changed}


def test_the_chart_makes_what_belongs_together() -> None:
    (deployment,) = rendered("deployment.yaml", values())
    (budget,) = rendered("disruption.yaml", values())
    services = rendered("services.yaml", values())
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        budget["spec"]["selector"]["matchLabels"],
        *(service["spec"]["selector"] for service in services),
    ):
        assert selector.items() <= labels.items()
    (container,) = pod["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for service in services for port in service["spec"]["ports"]} == ports
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", "a database that is gone restarts nobody"
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert container["resources"] == values()["resources"]


def test_the_charts_configuration_is_one() -> None:
    (made,) = rendered("config.yaml", values())
    settings = settings_of(made["data"]["csms.toml"])
    assert settings.bus.urls == ("nats://nats:4222",)
    drained_s = settings.csms.drain_notice_s + settings.csms.drain_s
    assert drained_s < values()["terminationGracePeriodSeconds"]


def test_what_can_be_chosen_is_made() -> None:
    assert rendered("monitor.yaml", values()) == []
    assert rendered("monitor.yaml", values(podMonitor=True))[0]["kind"] == "PodMonitor"
    (deployment,) = rendered("deployment.yaml", values(filesClaim="shared"))
    files = next(each for each in deployment["spec"]["template"]["spec"]["volumes"] if each["name"] == "files")
    assert files["persistentVolumeClaim"] == {"claimName": "shared"}


def test_helm_takes_the_chart() -> None:
    ran("helm", "lint", "--strict", CHART)


def test_every_file_here_is_looked_at() -> None:
    looked_at = {"Dockerfile", "Dockerfile.dockerignore", "haproxy.cfg", "csms.toml", "forecourt.json"}
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            known = file.name in looked_at or file in UNITS or file in COMPOSE or CHART in file.parents
            assert known, file
    json.loads((DEPLOY / "grafana" / "forecourt.json").read_text(encoding="utf-8"))
