"""The knobs of jobs, files, certificates and security events, with their defaults.

Guarantees
* A value that can't be is refused with the name of its field (ValueError).
"""

import msgspec


class ResourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Times ending in `_s` are seconds, sizes are bytes."""

    files_url: str | None = None
    """How stations reach the files of this CSMS, such as https://csms.example.com:8080; None: as the operator reached
    its API when the job was made."""
    largest_image: int = 512 * 1024 * 1024
    largest_log: int = 64 * 1024 * 1024
    job_deadline_s: float = 86_400.0
    """How long a firmware or log job may take when it doesn't say so itself; its address lives as long."""

    certificate_days: int = 365
    """How long certificates are valid that our own authority signs."""
    renew_before_s: float = 30 * 86_400.0
    """A certificate that runs out sooner is asked for anew, once a day."""
    security_event_retention_s: float = 365 * 86_400.0

    def __post_init__(self) -> None:
        for field in (
            "largest_image", "largest_log", "job_deadline_s", "certificate_days", "renew_before_s",
            "security_event_retention_s",
        ):  # fmt: skip
            if not getattr(self, field) > 0:
                raise ValueError(f"resources.{field}: must be more than 0")
        if self.files_url is not None and not self.files_url.startswith(("http://", "https://")):
            raise ValueError("resources.files_url: must begin with http:// or https://")
