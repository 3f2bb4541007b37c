"""The device model of OCPP 2.0.1 on the wire (chapter B): components, variables, attributes, reports.

Guarantees
* Every attribute is told apart (Actual, Target, MinSet, MaxSet); one that is not named is Actual, and is named in every
  answer (B05.FR.12, B06.FR.11).
* A variable that must not be read is answered with Rejected and the reason code WriteOnly.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Final

import msgspec

from forecourt.dialect.port import Inexpressible
from forecourt.dialect.v201_words import info_of, status_info
from forecourt.dialect.wire import Deviations, by_value, by_value_or, plain
from forecourt.domain import requests as r
from forecourt.domain.events import Notice, VariablesReported
from forecourt.domain.requests import RequestStatus
from forecourt.domain.variable import (
    AttributeType,
    GetVariableStatus,
    Mutability,
    ReportBase,
    SetVariableStatus,
    VariableReading,
    VariableRef,
    VariableSetResult,
    VariableSetting,
)
from forecourt.messages import v201 as m
from forecourt.messages.base import Message

_ATTRIBUTES: Final = by_value_or(m.AttributeEnum, AttributeType, AttributeType.ACTUAL)
_ATTRIBUTES_SAID: Final = by_value(AttributeType, m.AttributeEnum)
_SETS: Final = by_value(m.SetVariableStatusEnum, SetVariableStatus)
_SETS_SAID: Final = by_value(SetVariableStatus, m.SetVariableStatusEnum)
_GETS: Final = by_value(m.GetVariableStatusEnum, GetVariableStatus)
_GETS_SAID: Final = by_value(GetVariableStatus, m.GetVariableStatusEnum)
_MUTABILITIES: Final = by_value_or(m.MutabilityEnum, Mutability, Mutability.READ_WRITE)
_MUTABILITIES_SAID: Final = by_value(Mutability, m.MutabilityEnum)
_BASES: Final = by_value(m.ReportBaseEnum, ReportBase)
_BASES_SAID: Final = by_value(ReportBase, m.ReportBaseEnum)

_REPORT_OUTCOMES: Final = {
    m.GenericDeviceModelStatusEnum.ACCEPTED: RequestStatus.ACCEPTED,
    m.GenericDeviceModelStatusEnum.REJECTED: RequestStatus.REJECTED,
    m.GenericDeviceModelStatusEnum.NOT_SUPPORTED: RequestStatus.NOT_SUPPORTED,
    m.GenericDeviceModelStatusEnum.EMPTY_RESULT_SET: RequestStatus.ACCEPTED,
}
_REPORT_OUTCOMES_SAID: Final = dict.fromkeys(RequestStatus, m.GenericDeviceModelStatusEnum.REJECTED) | {
    RequestStatus.NOT_SUPPORTED: m.GenericDeviceModelStatusEnum.NOT_SUPPORTED,
    RequestStatus.NOT_IMPLEMENTED: m.GenericDeviceModelStatusEnum.NOT_SUPPORTED,
}

_WRITE_ONLY: Final = "WriteOnly"
"""Reason code of the appendix for a variable that can't be read."""


def _ref(component: m.Component, variable: m.Variable, attribute: m.AttributeEnum | None) -> VariableRef:
    evse = component.evse
    return VariableRef(
        component=component.name,
        variable=variable.name,
        variable_instance=variable.instance,
        component_instance=component.instance,
        evse_id=evse.id if evse else None,
        connector_id=evse.connector_id if evse else None,
        attribute=_ATTRIBUTES[attribute],
    )


def _component(ref: VariableRef) -> m.Component:
    if ref.evse_id is None:
        if ref.connector_id is not None:
            raise Inexpressible("a connector needs its EVSE")
        return m.Component(name=ref.component, instance=ref.component_instance)
    evse = m.EVSE(id=ref.evse_id, connector_id=ref.connector_id)
    return m.Component(name=ref.component, instance=ref.component_instance, evse=evse)


def _variable(ref: VariableRef) -> m.Variable:
    return m.Variable(name=ref.variable, instance=ref.variable_instance)


def set_variables(wire: m.SetVariablesRequest, _: Deviations) -> r.SetVariables:
    """What a CSMS wants to be set."""
    return r.SetVariables(
        settings=tuple(
            VariableSetting(_ref(item.component, item.variable, item.attribute_type), item.attribute_value)
            for item in wire.set_variable_data
        )
    )


def say_set_variables(request: r.SetVariables) -> tuple[str, Message]:
    """The same on the wire."""
    items = tuple(
        m.SetVariableData(
            attribute_value=setting.value,
            component=_component(setting.ref),
            variable=_variable(setting.ref),
            attribute_type=_ATTRIBUTES_SAID[setting.ref.attribute],
        )
        for setting in request.settings
    )
    return "SetVariables", m.SetVariablesRequest(set_variable_data=items)


def hear_set_variables(_: r.SetVariables, wire: m.SetVariablesResponse, __: Deviations) -> r.SetVariablesAnswer:
    """What became of it."""
    return r.SetVariablesAnswer(
        results=tuple(
            VariableSetResult(
                _ref(item.component, item.variable, item.attribute_type),
                _SETS[item.attribute_status],
                " ".join(part for part in info_of(item.attribute_status_info) if part),
            )
            for item in wire.set_variable_result
        )
    )


def reply_set_variables(_: r.SetVariables, answer: r.SetVariablesAnswer) -> Message:
    """The same on the wire."""
    return m.SetVariablesResponse(
        set_variable_result=tuple(
            m.SetVariableResult(
                attribute_status=_SETS_SAID[result.outcome],
                component=_component(result.ref),
                variable=_variable(result.ref),
                attribute_type=_ATTRIBUTES_SAID[result.ref.attribute],
                attribute_status_info=status_info(None, result.info),
            )
            for result in answer.results
        )
    )


def get_variables(wire: m.GetVariablesRequest, _: Deviations) -> r.GetVariables:
    """Which variables a CSMS wants to read."""
    return r.GetVariables(
        refs=tuple(_ref(item.component, item.variable, item.attribute_type) for item in wire.get_variable_data)
    )


def get_base_report(wire: m.GetBaseReportRequest, _: Deviations) -> r.GetVariables:
    """A CSMS wants to read all of them (B07)."""
    return r.GetVariables(refs=None, request_id=wire.request_id, report_base=_BASES[wire.report_base])


def say_get_variables(request: r.GetVariables) -> tuple[str, Message]:
    """Either on the wire."""
    if request.refs is None:
        return "GetBaseReport", m.GetBaseReportRequest(
            request_id=request.request_id, report_base=_BASES_SAID[request.report_base]
        )
    return "GetVariables", m.GetVariablesRequest(
        get_variable_data=tuple(
            m.GetVariableData(
                component=_component(ref), variable=_variable(ref), attribute_type=_ATTRIBUTES_SAID[ref.attribute]
            )
            for ref in request.refs
        )
    )


def get_variables_response(request: r.GetVariables) -> type[Message]:
    """The message that answers it."""
    return m.GetBaseReportResponse if request.refs is None else m.GetVariablesResponse


def hear_get_variables(
    _: r.GetVariables, wire: m.GetVariablesResponse | m.GetBaseReportResponse, __: Deviations
) -> r.GetVariablesAnswer:
    """What was read, or whether a report follows."""
    if isinstance(wire, m.GetBaseReportResponse):
        return r.GetVariablesAnswer(
            readings=(),
            outcome=_REPORT_OUTCOMES[wire.status],
            report_follows=wire.status is m.GenericDeviceModelStatusEnum.ACCEPTED,
        )
    return r.GetVariablesAnswer(readings=tuple(_reading(item) for item in wire.get_variable_result))


def _reading(item: m.GetVariableResult) -> VariableReading:
    info = item.attribute_status_info
    hidden = info is not None and info.reason_code == _WRITE_ONLY
    return VariableReading(
        _ref(item.component, item.variable, item.attribute_type),
        _GETS[item.attribute_status],
        item.attribute_value,
        Mutability.WRITE_ONLY if hidden else Mutability.READ_WRITE,
    )


def reply_get_variables(request: r.GetVariables, answer: r.GetVariablesAnswer) -> Message:
    """The same on the wire."""
    if request.refs is None:
        if answer.readings:
            raise Inexpressible("GetBaseReportResponse holds no readings; they are reported (B07.FR.07)")
        return m.GetBaseReportResponse(status=_report_outcome(answer))
    if answer.outcome is not RequestStatus.ACCEPTED or answer.report_follows:
        raise Inexpressible("GetVariablesResponse holds the readings, and nothing else")
    return m.GetVariablesResponse(get_variable_result=tuple(_reading_said(reading) for reading in answer.readings))


def _report_outcome(answer: r.GetVariablesAnswer) -> m.GenericDeviceModelStatusEnum:
    if answer.outcome is not RequestStatus.ACCEPTED:
        return _REPORT_OUTCOMES_SAID[answer.outcome]
    if answer.report_follows:
        return m.GenericDeviceModelStatusEnum.ACCEPTED
    return m.GenericDeviceModelStatusEnum.EMPTY_RESULT_SET


def _reading_said(reading: VariableReading) -> m.GetVariableResult:
    hidden = reading.mutability is Mutability.WRITE_ONLY
    status = m.GetVariableStatusEnum.REJECTED if hidden else _GETS_SAID[reading.outcome]
    return m.GetVariableResult(
        attribute_status=status,
        component=_component(reading.ref),
        variable=_variable(reading.ref),
        attribute_type=_ATTRIBUTES_SAID[reading.ref.attribute],
        attribute_value=None if hidden else reading.value,
        attribute_status_info=status_info(_WRITE_ONLY, None) if hidden else None,
    )


def notify_report(wire: m.NotifyReportRequest, _: Deviations) -> Notice:
    """A part of a report."""
    return Notice(
        (
            VariablesReported(
                request_id=wire.request_id,
                part=wire.seq_no,
                more=bool(wire.tbc),
                at=plain(wire.generated_at),
                readings=tuple(
                    VariableReading(
                        _ref(item.component, item.variable, attribute.type),
                        GetVariableStatus.ACCEPTED,
                        attribute.value,
                        _MUTABILITIES[attribute.mutability],
                    )
                    for item in wire.report_data or ()
                    for attribute in item.variable_attribute
                ),
            ),
        )
    )


def say_notify_report(event: VariablesReported) -> Message:
    """The same on the wire: the attributes of one variable together."""
    return m.NotifyReportRequest(
        request_id=event.request_id,
        generated_at=event.at,
        seq_no=event.part,
        report_data=tuple(_report_data(event.readings)) or None,
        tbc=event.more or None,
    )


def _report_data(readings: Iterable[VariableReading]) -> Iterable[m.ReportData]:
    found = (reading for reading in readings if reading.outcome is GetVariableStatus.ACCEPTED)
    for ref, attributes in groupby(
        found, key=lambda reading: msgspec.structs.replace(reading.ref, attribute=AttributeType.ACTUAL)
    ):
        yield m.ReportData(
            component=_component(ref),
            variable=_variable(ref),
            variable_attribute=tuple(
                m.VariableAttribute(
                    type=_ATTRIBUTES_SAID[reading.ref.attribute],
                    value=None if reading.mutability is Mutability.WRITE_ONLY else reading.value,
                    mutability=_MUTABILITIES_SAID[reading.mutability],
                )
                for reading in attributes
            ),
        )
