"""`/stations/{id}/configuration`: as reported, as desired, and where the two differ.

What is desired is pushed at the station's next boot; `/synchronise` does it now and waits for it.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import LARGEST_INTEGER, Asked, Number
from forecourt.api.lists import Filter, shown
from forecourt.api.problems import documented
from forecourt.csms import provisioning, stations
from forecourt.csms.records import Configuration
from forecourt.domain.variable import AttributeType, Mutability, VariableRef, VariableSetting

VariableName = Annotated[str, Meta(min_length=1, max_length=100)]
NameParameter = Annotated[str, QueryParameter(min_length=1, max_length=100)]
NumberParameter = Annotated[int | None, QueryParameter(ge=0, le=LARGEST_INTEGER)]


class VariableBody(Asked, frozen=True, kw_only=True):
    """Names one variable of one component, as OCPP 2.0.1 does; the keys of 1.6 have their place there too."""

    component: VariableName
    variable: VariableName
    variable_instance: VariableName | None = None
    component_instance: VariableName | None = None
    evse_id: Number | None = None
    connector_id: Number | None = None
    attribute: AttributeType = AttributeType.ACTUAL


class SettingBody(Asked, frozen=True, kw_only=True):
    """A value that a variable shall have; OCPP writes all values as text."""

    ref: VariableBody
    value: Annotated[str, Meta(max_length=2500)]


class ConfigurationBody(Asked, frozen=True, kw_only=True):
    """Wishes to add, or to change."""

    desired: Annotated[tuple[SettingBody, ...], Meta(min_length=1, max_length=1000)]


class ReportedResource(msgspec.Struct, frozen=True, kw_only=True):
    """What a station last said of a variable."""

    ref: VariableRef
    value: str | None
    mutability: Mutability
    reported_at: datetime


class DesiredResource(msgspec.Struct, frozen=True, kw_only=True):
    """What a variable shall be, and the station's word on the last attempt to set it."""

    ref: VariableRef
    value: str
    outcome: str | None
    pushed_at: datetime | None


class DriftResource(msgspec.Struct, frozen=True, kw_only=True):
    """A variable that isn't as desired. `reported` null: the station hasn't told, or has no such variable."""

    ref: VariableRef
    desired: str
    reported: str | None


class ConfigurationResource(msgspec.Struct, frozen=True, kw_only=True):
    """A station's configuration."""

    reported: tuple[ReportedResource, ...]
    desired: tuple[DesiredResource, ...]
    drift: tuple[DriftResource, ...]


def _show(configuration: Configuration) -> ConfigurationResource:
    return ConfigurationResource(
        reported=tuple(shown(ReportedResource, variable) for variable in configuration.reported),
        desired=tuple(shown(DesiredResource, wish) for wish in configuration.desired),
        drift=tuple(shown(DriftResource, drift) for drift in configuration.drift),
    )


@get("/{station_id:str}/configuration", summary="A station's configuration", responses=documented(404))
async def get_configuration(context: CallerContext, station_id: FromPath[str]) -> ConfigurationResource:
    return _show(await stations.configuration(context, station_id))


@patch(
    "/{station_id:str}/configuration",
    summary="Add or change what a station shall be configured to, pushed at its next boot",
    responses=documented(404, 408, 413, 415),
)
async def set_desired(
    context: CallerContext, station_id: FromPath[str], data: JSONBody[ConfigurationBody]
) -> ConfigurationResource:
    settings = msgspec.convert(data.desired, tuple[VariableSetting, ...], from_attributes=True)
    return _show(await stations.set_desired_variables(context, station_id, settings))


@post(
    "/{station_id:str}/configuration/synchronise",
    status_code=200,
    summary="Read what a connected station shall be configured to, set what differs, and see what came of it",
    responses=documented(404, 409),
)
async def synchronise_configuration(context: CallerContext, station_id: FromPath[str]) -> ConfigurationResource:
    return _show(await provisioning.synchronise(context, station_id))


@delete(
    "/{station_id:str}/configuration/desired",
    summary="Take a wish back; the station keeps the value",
    responses=documented(404),
)
async def remove_desired(
    context: CallerContext,
    station_id: FromPath[str],
    component: NameParameter,
    variable: NameParameter,
    variable_instance: Annotated[str | None, QueryParameter(max_length=100)] = None,
    component_instance: Annotated[str | None, QueryParameter(max_length=100)] = None,
    evse_id: NumberParameter = None,
    connector_id: NumberParameter = None,
    attribute: FromQuery[AttributeType] = AttributeType.ACTUAL,
) -> None:
    ref = VariableRef(component, variable, variable_instance, component_instance, evse_id, connector_id, attribute)
    await stations.remove_desired_variable(context, station_id, ref)


class VariableResource(msgspec.Struct, frozen=True, kw_only=True):
    """A variable of a station: what it is, and what it shall be."""

    ref: VariableRef
    value: str | None
    """As the station told it last; null: it hasn't, or won't."""
    mutability: Mutability | None
    """Null: the station hasn't told of it."""
    reported_at: datetime | None
    desired: str | None
    """Null: nobody wishes anything."""
    outcome: str | None
    """The station's word on the last attempt to set it."""
    drifts: bool
    """It isn't as desired."""


class VariableList(msgspec.Struct, frozen=True, kw_only=True):
    """A station's variables, by component and name."""

    items: tuple[VariableResource, ...]
    next_cursor: str | None = None


@get(
    "/{station_id:str}/variables",
    summary="A station's variables, one by one: reported, desired, drifting",
    responses=documented(404),
)
async def list_variables(
    context: CallerContext,
    station_id: FromPath[str],
    component: Filter = None,
    variable: Filter = None,
    drifts: FromQuery[bool | None] = None,
) -> VariableList:
    found = await stations.configuration(context, station_id)
    told = {one.ref: one for one in found.reported}
    wished = {one.ref: one for one in found.desired}
    adrift = {one.ref for one in found.drift}
    items = []
    for ref in sorted({*told, *wished}, key=msgspec.json.encode):
        unlike = component not in {None, ref.component} or variable not in {None, ref.variable}
        if unlike or drifts not in {None, ref in adrift}:
            continue
        known, wish = told.get(ref), wished.get(ref)
        items.append(
            VariableResource(
                ref=ref,
                value=None if known is None else known.value,
                mutability=None if known is None else known.mutability,
                reported_at=None if known is None else known.reported_at,
                desired=None if wish is None else wish.value,
                outcome=None if wish is None else wish.outcome,
                drifts=ref in adrift,
            )
        )
    return VariableList(items=tuple(items))


handlers = [get_configuration, set_desired, synchronise_configuration, remove_desired, list_variables]
