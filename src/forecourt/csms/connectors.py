"""Connector states: what stations report, and what a person makes of it.

Guarantees
* A report that is older than what is known changes nothing (stations send what they queued while offline). A clock that
  is wrong keeps nothing from being known: what a station says of our future happened when it arrived, and at a boot its
  clock begins anew (stations lose theirs with the power).
* The person-facing state is a function of what is known, by the table of `views.view_of`. Whether the station is
  connected is no part of it: connectivity is a fact of its own.
"""

from datetime import datetime

import msgspec

from forecourt.csms import published
from forecourt.csms.records import Connector, Transaction
from forecourt.csms.views import view_of
from forecourt.csms.work import Work
from forecourt.domain.events import ChargingStateReported, ConnectorStatusReported
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.transaction import ChargingState


def status_reported(work: Work, event: ConnectorStatusReported) -> None:
    """OCPP 1.6 §4.9 StatusNotification, OCPP 2.0.1 G01."""
    connector = _known(work, event.evse_id, event.connector_id)
    at = _happened_at(work, event.at)
    if connector.status_at is not None and at < connector.status_at:
        return
    changed = msgspec.structs.replace(
        connector, connector_status=event.connector_status, error=event.error, status_at=at
    )
    if event.connector_status is ConnectorStatus.AVAILABLE:
        changed = msgspec.structs.replace(
            changed, charging_state=None, power_w=None, power_at=None, transaction_finished=False
        )
    _save(work, connector, changed)


def charging_state_reported(work: Work, event: ChargingStateReported, transaction: Transaction | None) -> None:
    """What charging does, told by itself or as part of a transaction. It implies that the connector is occupied."""
    evse_id = event.evse_id
    if evse_id is None:
        evse_id = None if transaction is None else transaction.evse_id or None
    if evse_id is None:
        return
    connector = _known(work, evse_id, event.connector_id or 1)
    at = _happened_at(work, event.at)
    if connector.status_at is not None and at < connector.status_at:
        return
    ended = event.transaction_id is None and event.charging_state is ChargingState.EV_CONNECTED
    gone = event.charging_state is ChargingState.IDLE
    changed = msgspec.structs.replace(
        connector,
        connector_status=connector.connector_status if gone else ConnectorStatus.OCCUPIED,
        charging_state=event.charging_state,
        error=event.error,
        status_at=at,
        transaction_finished=ended or connector.transaction_finished,
    )
    _save(work, connector, changed)


def transaction_runs(work: Work, transaction: Transaction) -> None:
    """A transaction has begun at its EVSE."""
    if transaction.evse_id:
        connector = _known(work, transaction.evse_id, transaction.connector_id or 1)
        changed = msgspec.structs.replace(connector, transaction_number=transaction.number, transaction_finished=False)
        _save(work, connector, changed)


def transaction_over(work: Work, transaction: Transaction) -> None:
    """It has ended; whatever runs there since is left alone."""
    if transaction.evse_id:
        connector = _known(work, transaction.evse_id, transaction.connector_id or 1)
        if connector.transaction_number == transaction.number:
            changed = msgspec.structs.replace(
                connector,
                transaction_number=None,
                transaction_finished=connector.connector_status is not ConnectorStatus.AVAILABLE,
                power_w=None,
                power_at=None,
            )
            _save(work, connector, changed)


def power_measured(work: Work, evse_id: int, connector_id: int | None, power_w: float, at: datetime) -> None:
    """The power of an EVSE that has a connector in the books; a station's main meter has none."""
    at = _happened_at(work, at)
    connector = work.books.stations.connector(work.station.number, evse_id, connector_id or 1)
    if connector is None or (connector.power_at is not None and at < connector.power_at):
        return
    if connector.connector_status is ConnectorStatus.AVAILABLE:
        return
    changed = msgspec.structs.replace(connector, power_w=power_w, power_at=at, updated_at=work.at)
    if view_of(changed, work.settings.charging_threshold_w) is connector.view:
        work.books.stations.save_connector(changed, metered=True)
    else:
        _save(work, connector, changed)


def station_booted(work: Work) -> None:
    """Its clock begins anew: what it says next is newer than what is known, whatever time it tells."""
    for connector in work.books.stations.connectors(work.station.number):
        if connector.status_at is not None or connector.power_at is not None:
            work.books.stations.save_connector(msgspec.structs.replace(connector, status_at=None, power_at=None))


def _happened_at(work: Work, told: datetime | None) -> datetime:
    return work.at if told is None else min(told, work.at)


def _known(work: Work, evse_id: int, connector_id: int) -> Connector:
    connector = work.books.stations.connector(work.station.number, evse_id, connector_id)
    if connector is not None:
        return connector
    return Connector(
        organisation_id=work.station.organisation_id,
        station_number=work.station.number,
        station_id=work.station.id,
        evse_id=evse_id,
        connector_id=connector_id,
        updated_at=work.at,
    )


def _save(work: Work, before: Connector, after: Connector) -> None:
    view = view_of(after, work.settings.charging_threshold_w)
    after = msgspec.structs.replace(after, view=view, updated_at=work.at)
    work.books.stations.save_connector(after)
    told_before = (before.view, before.connector_status, before.charging_state, before.error, before.transaction_number)
    if told_before != (view, after.connector_status, after.charging_state, after.error, after.transaction_number):
        body = published.ConnectorStatusBody(
            evse_id=after.evse_id,
            connector_id=after.connector_id,
            view=view,
            connector_status=after.connector_status,
            charging_state=after.charging_state,
            error=after.error,
            transaction_number=after.transaction_number,
        )
        work.tell(published.CONNECTOR_STATUS, body)
