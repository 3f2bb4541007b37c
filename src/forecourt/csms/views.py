"""A connector's state as a person thinks of it: a function of what is known, by one table."""

from typing import Final

from forecourt.csms.records import Connector, ConnectorView
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.transaction import ChargingState

_BY_STATUS: Final = {
    ConnectorStatus.AVAILABLE: ConnectorView.UNPLUGGED,
    ConnectorStatus.RESERVED: ConnectorView.RESERVED,
    ConnectorStatus.UNAVAILABLE: ConnectorView.UNAVAILABLE,
    ConnectorStatus.FAULTED: ConnectorView.FAULTED,
}


def view_of(connector: Connector, charging_threshold_w: float) -> ConnectorView:
    """A connector's state as a person thinks of it.

    =========================  =====================================================================
    unplugged                  Available
    plugged_in                 Occupied, and nothing flows: before, between, suspended by either side
    charging                   Occupied and Charging, and the power (where known) is above the threshold
    finished                   Occupied, and a transaction has ended since the car was plugged in
    faulted, reserved,         as reported
    unavailable
    unknown                    nothing was reported
    =========================  =====================================================================
    """
    if connector.connector_status is None:
        return ConnectorView.UNKNOWN
    if connector.connector_status is not ConnectorStatus.OCCUPIED:
        return _BY_STATUS[connector.connector_status]
    if connector.transaction_finished and connector.transaction_number is None:
        return ConnectorView.FINISHED
    if connector.charging_state is not ChargingState.CHARGING:
        return ConnectorView.PLUGGED_IN
    flows = connector.power_w is None or connector.power_w >= charging_threshold_w
    return ConnectorView.CHARGING if flows else ConnectorView.PLUGGED_IN
