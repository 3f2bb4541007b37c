"""A libocpp configuration (JSON, OCPP 1.6) as one of ours (TOML).

Guarantees
* What comes out is a configuration that `forecourt station` takes. Every setting that has a counterpart here is taken
  over; every other one is in it as a comment that says why not, so that nothing is lost without a word.
* libocpp appends the identity to the address of the CSMS, as we do, and takes one without a scheme for what its
  security profile says: ws:// up to 1, wss:// from 2 on.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from forecourt.app.config import ConfigError
from forecourt.dialect.variable_names import text, variable_of, variables_of
from forecourt.domain.meter import Measurand
from forecourt.station.config import DEFAULT_MEASURANDS
from forecourt.station.variable_table import OF_HARDWARE
from forecourt.station.variables import Variables

_IDENTITY: Final = {
    "ChargePointVendor": "vendor_name",
    "ChargePointModel": "model",
    "ChargePointSerialNumber": "serial_number",
    "ChargeBoxSerialNumber": "controller_serial_number",
    "FirmwareVersion": "firmware_version",
    "ICCID": "modem_iccid",
    "IMSI": "modem_imsi",
    "MeterType": "meter_type",
    "MeterSerialNumber": "meter_serial_number",
}
_BACKOFF: Final = {
    "RetryBackoffWaitMinimum": "wait_minimum_s",
    "RetryBackoffRandomRange": "random_range_s",
    "RetryBackoffRepeatTimes": "repeat_times",
}
_PROFILE_2: Final = 2
_WITH_PASSWORD: Final = (1, 2)
"""Security profiles."""


def import_libocpp(path: Path) -> str:
    """The TOML text of the configuration in `path`.

    Raises:
        ConfigError: it can't be read, or is none.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("Internal"), dict):
        raise ConfigError(f"{path}: expected a libocpp configuration, whose settings of the station are in Internal")
    if not all(isinstance(section, dict) for section in tree.values()):
        raise ConfigError(f"{path}: expected one object for each feature profile")
    return _toml(tree)


def _toml(tree: Mapping[str, Mapping[str, Any]]) -> str:
    internal = dict(tree["Internal"])
    security = dict(tree.get("Security", {}))
    left: list[str] = []
    lines = ["# From a libocpp configuration.", f"id = {_quoted(internal.pop('ChargePointId', 'station-1'))}"]
    lines.append(f"csms = {_quoted(_address(internal.pop('CentralSystemURI', ''), security))}")
    if "AuthorizationKey" in security:
        lines.append(f"password = {_quoted(security.pop('AuthorizationKey'))}")
    profile = security.pop("SecurityProfile", 0)
    if profile in _WITH_PASSWORD and any(line.startswith("password") for line in lines):
        lines.append(f"security_profile = {profile}")
    elif profile:
        left.append(f"Security.SecurityProfile = {profile}: needs password, or tls.certificate and tls.key")
    lines += [f"{ours} = {_quoted(internal.pop(theirs))}" for theirs, ours in _IDENTITY.items() if theirs in internal]
    core = dict(tree.get("Core", {}))
    connectors = core.pop("NumberOfConnectors", 1)
    lines.append(f"evses = {connectors if isinstance(connectors, int) and 1 <= connectors <= 128 else 1}")
    measurands: tuple[Measurand, ...] = DEFAULT_MEASURANDS
    if "SupportedMeasurands" in internal:
        names = [name.strip() for name in str(internal.pop("SupportedMeasurands")).split(",")]
        known = [name for name in names if name in set(Measurand)]
        measurands = tuple(Measurand(name) for name in known)
        lines.append(f"measurands = [{', '.join(_quoted(name) for name in known)}]")
        left += [f"Internal.SupportedMeasurands: no measurand is called {name}" for name in names if name not in known]
    waits = [f"{ours} = {internal.pop(theirs)}" for theirs, ours in _BACKOFF.items() if theirs in internal]
    sections = {**tree, "Internal": internal, "Security": security, "Core": core}
    variables = _variables(sections, measurands, left)
    lines += ["", "[backoff]", *waits] if waits else []
    lines += ["", "[variables]", *variables] if variables else []
    lines += ["", "# Not taken over:", *(f"# {line}" for line in left)] if left else []
    return "\n".join(lines) + "\n"


def _variables(
    sections: Mapping[str, Mapping[str, Any]], measurands: tuple[Measurand, ...], left: list[str]
) -> list[str]:
    """The lines of the variables that a station has; all others go to `left`."""
    lines: list[str] = []
    seen = set()
    for section, settings in sections.items():
        for key, value in settings.items():
            place = f"{section}.{key} = {json.dumps(value, ensure_ascii=False)}"
            if not isinstance(value, str | int | float | bool):
                left.append(f"{place}: has no counterpart here")
                continue
            ref = variable_of(key.replace(".", "_"))
            if ref in OF_HARDWARE:
                left.append(f"{place}: is told by the hardware")
                continue
            try:
                Variables(variables_of({key: value}), measurands)
            except ValueError as error:
                left.append(f"{place}: {str(error).partition(': ')[2] or error}")
                continue
            if ref in seen:
                left.append(f"{place}: named in two sections, the first one counts")
                continue
            seen.add(ref)
            lines.append(f"{key} = {_quoted(text(value))}")
    return lines


def _address(uri: Any, security: Mapping[str, Any]) -> str:
    address = str(uri).strip() or "127.0.0.1:9000/ocpp"
    if "://" not in address:
        profile = security.get("SecurityProfile", 0)
        secure = isinstance(profile, int) and profile >= _PROFILE_2
        address = f"{'wss' if secure else 'ws'}://{address}"
    return address.rstrip("/")


def _quoted(value: Any) -> str:
    """A TOML string: JSON's notation is TOML's, but for the one character that JSON leaves alone."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")
