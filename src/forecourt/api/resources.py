"""What is under `/api/v1` of reservations, local lists, jobs, certificates, security events and load groups."""

from typing import Any, Final

from forecourt.api import (
    assignments,
    certificates,
    contract_certificates,
    images,
    jobs,
    load_groups,
    local_lists,
    reservations,
    security_events,
    wishes,
)

routers: Final[tuple[Any, ...]] = (
    reservations.router,
    local_lists.router,
    images.router,
    jobs.firmware_router,
    jobs.logs_router,
    certificates.router,
    certificates.station_router,
    contract_certificates.router,
    security_events.router,
    load_groups.router,
    assignments.router,
    *wishes.handlers,
)
