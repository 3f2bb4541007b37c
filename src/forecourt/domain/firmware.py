"""Firmware updates and log uploads: how far one has come (OCPP 2.0.1 chapters L and N)."""

from enum import StrEnum


class FirmwareStatus(StrEnum):
    """Where an update of the firmware stands (OCPP 2.0.1 FirmwareStatusEnumType; white paper §6.8)."""

    IDLE = "Idle"
    """Nothing to update; only ever said when asked."""
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOADING = "Downloading"
    DOWNLOAD_PAUSED = "DownloadPaused"
    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    SIGNATURE_VERIFIED = "SignatureVerified"
    INVALID_SIGNATURE = "InvalidSignature"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    INSTALL_VERIFICATION_FAILED = "InstallVerificationFailed"
    INSTALLATION_FAILED = "InstallationFailed"

    @property
    def is_final(self) -> bool:
        """Whether the update is over: nothing follows."""
        return self in _FINAL_FIRMWARE_STATES


_FINAL_FIRMWARE_STATES = frozenset(
    {
        FirmwareStatus.DOWNLOAD_FAILED,
        FirmwareStatus.INVALID_SIGNATURE,
        FirmwareStatus.INSTALLED,
        FirmwareStatus.INSTALL_VERIFICATION_FAILED,
        FirmwareStatus.INSTALLATION_FAILED,
    }
)


class LogType(StrEnum):
    """Which log (OCPP 2.0.1 LogEnumType)."""

    DIAGNOSTICS = "DiagnosticsLog"
    SECURITY = "SecurityLog"


class LogUploadStatus(StrEnum):
    """Where the upload of a log stands (OCPP 2.0.1 UploadLogStatusEnumType; white paper §6.19)."""

    IDLE = "Idle"
    """Nothing to upload; only ever said when asked."""
    UPLOADING = "Uploading"
    UPLOADED = "Uploaded"
    BAD_MESSAGE = "BadMessage"
    NOT_SUPPORTED_OPERATION = "NotSupportedOperation"
    PERMISSION_DENIED = "PermissionDenied"
    UPLOAD_FAILURE = "UploadFailure"
    ACCEPTED_CANCELED = "AcceptedCanceled"
    """Another upload has taken its place."""

    @property
    def is_final(self) -> bool:
        """Whether the upload is over: nothing follows."""
        return self not in {LogUploadStatus.IDLE, LogUploadStatus.UPLOADING}
