"""`[payments]` in the configuration of a CSMS: who collects money from drivers that pay on the spot.

Guarantees
* A secret comes from a file or from the environment, never from the configuration itself, and is in no error.
* Nobody collects unless the configuration says so.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol, Self

import msgspec

from forecourt.app.config import ConfigError
from forecourt.csms.money_ports import PaymentProvider
from forecourt.sim.payments import FakePaymentProvider

_KEYS: Final = ("sk_", "rk_")
_WEBHOOK_SECRET: Final = "whsec_"  # noqa: S105


class StripeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[payments.stripe]`: its library is the extra `forecourt[stripe]`."""

    secret_key_file: str | None = None
    """A file with the secret key, or a restricted one that may write PaymentIntents."""
    secret_key_env: str | None = None
    """The environment's variable with it, instead."""
    webhook_secret_file: str | None = None
    """A file with the signing secret of the endpoint `/api/v1/payments/notices/stripe`; None: notices are refused."""
    webhook_secret_env: str | None = None
    url: str | None = None
    """Of another API than Stripe's own: one of a test."""
    timeout_s: float = 20.0
    retries: int = 2
    """Of a request that got no answer, at once; later ones are the books' (`csms.money.payment_attempts`)."""

    def __post_init__(self) -> None:
        if (self.secret_key_file is None) == (self.secret_key_env is None):
            raise ValueError("payments.stripe.secret_key_file: is needed, or else secret_key_env, and not both")
        if self.webhook_secret_file is not None and self.webhook_secret_env is not None:
            raise ValueError("payments.stripe.webhook_secret_file: not together with webhook_secret_env")
        if not self.timeout_s > 0:
            raise ValueError("payments.stripe.timeout_s: must be more than 0")
        if self.retries < 0:
            raise ValueError("payments.stripe.retries: must be at least 0")


class PaymentsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[payments]`: the providers, each by its name in `/payments`."""

    stripe: StripeFile | None = None
    fake: bool = False
    """One that holds no money and says yes to everybody: for demonstrations and trials."""

    def beside(self, folder: Path) -> Self:
        """With paths that are relative to `folder` made absolute."""
        if self.stripe is None:
            return self
        names = ("secret_key_file", "webhook_secret_file")
        given = {name: getattr(self.stripe, name) for name in names}
        found = {name: str(folder / path) for name, path in given.items() if path is not None}
        return msgspec.structs.replace(self, stripe=msgspec.structs.replace(self.stripe, **found))


class _Closing(Protocol):
    async def close(self) -> None: ...


class Payments:
    """The providers as the configuration wants them. ConfigError when one can't be had."""

    def __init__(self, settings: PaymentsFile, environment: Mapping[str, str] = os.environ) -> None:
        self.providers: dict[str, PaymentProvider] = {}
        self._open: list[_Closing] = []
        if settings.fake:
            self.providers["fake"] = FakePaymentProvider()
        if settings.stripe is not None:
            made = _stripe(settings.stripe, environment)
            self.providers["stripe"] = made
            self._open.append(made)

    async def close(self) -> None:
        """Let go of connections."""
        for one in self._open:
            await one.close()


class _StripeProvider(PaymentProvider, _Closing, Protocol):
    pass


def _stripe(settings: StripeFile, environment: Mapping[str, str]) -> _StripeProvider:
    key = _secret("secret_key", settings.secret_key_file, settings.secret_key_env, environment)
    if key is None or not key.startswith(_KEYS):
        raise ConfigError("payments.stripe.secret_key: expected a secret key (sk_…) or a restricted one (rk_…)")
    webhook = _secret("webhook_secret", settings.webhook_secret_file, settings.webhook_secret_env, environment)
    if webhook is not None and not webhook.startswith(_WEBHOOK_SECRET):
        raise ConfigError("payments.stripe.webhook_secret: expected an endpoint's signing secret (whsec_…)")
    try:
        from forecourt.net.stripe_payments import StripePayments  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ConfigError(f"payments.stripe: {error}") from error
    return StripePayments(
        key, webhook_secret=webhook, url=settings.url, timeout_s=settings.timeout_s, retries=settings.retries
    )


def _secret(name: str, file: str | None, variable: str | None, environment: Mapping[str, str]) -> str | None:
    if file is not None:
        try:
            return Path(file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "expected plain text"
            raise ConfigError(f"payments.stripe.{name}_file: {file}: {said}") from error
    if variable is None:
        return None
    found = environment.get(variable, "").strip()
    if not found:
        raise ConfigError(f"payments.stripe.{name}_env: {variable} is not set in the environment")
    return found
