"""TLS as a configuration says it, made into contexts.

Guarantees
* What can't work is a `ConfigError` that names the place in the configuration, the file and what is wrong.
"""

from forecourt.app.config import ConfigError
from forecourt.net.certificates import CertificateError
from forecourt.net.tls import ClientCertificates, ClientTls, FileContext, ServerTls, client_context, server_context


def server_tls(settings: ServerTls, place: str, client_certificates: ClientCertificates | None = None) -> FileContext:
    """The context of a listener at `place` of the configuration. Raises ConfigError."""
    try:
        return server_context(settings, client_certificates=client_certificates, name=place)
    except CertificateError as error:
        raise ConfigError(f"{place}.tls: {error}") from error


def client_tls(settings: ClientTls, place: str, *, at_any_time: bool = False) -> FileContext:
    """The context of a client at `place` of the configuration. `at_any_time`: its certificate may be over, or not have
    begun yet. Raises ConfigError."""
    try:
        return client_context(settings, at_any_time=at_any_time)
    except CertificateError as error:
        raise ConfigError(f"{place}: {error}") from error
