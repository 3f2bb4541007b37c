"""`[payments]` of a CSMS: where the secrets are, who collects, and what is wrong with it, by field."""

from pathlib import Path

import pytest

from forecourt.app.config import ConfigError, parse
from forecourt.app.csms import CsmsFile
from forecourt.app.csms_payments import Payments, PaymentsFile, StripeFile
from forecourt.net.stripe_payments import StripePayments


def test_nobody_collects_unless_it_is_said() -> None:
    assert Payments(CsmsFile().payments).providers == {}


async def test_providers_by_name_with_their_secrets_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "stripe.key").write_text("rk_test_notreal\n")
    text = """
    [payments]
    fake = true
    [payments.stripe]
    secret_key_file = "stripe.key"
    webhook_secret_env = "HOOK"
    """
    settings = parse(text, CsmsFile, source="csms.toml").beside(tmp_path)
    made = Payments(settings.payments, {"HOOK": "whsec_notreal"})
    assert sorted(made.providers) == ["fake", "stripe"]
    assert isinstance(made.providers["stripe"], StripePayments)
    await made.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[payments.stripe]", "payments.stripe.secret_key_file: is needed, or else secret_key_env"),
        ('[payments.stripe]\nsecret_key = "sk_x"', "payments.stripe.secret_key: no such field"),
        ('[payments.stripe]\nsecret_key_env = "A"\ntimeout_s = 0', "timeout_s: must be more than 0"),
        ('[payments.stripe]\nsecret_key_env = "A"\nretries = -1', "retries: must be at least 0"),
        (
            '[payments.stripe]\nsecret_key_env = "A"\nwebhook_secret_env = "B"\nwebhook_secret_file = "c"',
            "webhook_secret_file: not together",
        ),
    ],
)
def test_what_is_wrong_names_its_field(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, CsmsFile, source="csms.toml")
    assert said in str(error.value)


def test_secrets_that_are_none_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KEY is not set"):
        Payments(PaymentsFile(stripe=StripeFile(secret_key_env="KEY")), {})
    with pytest.raises(ConfigError, match=r"secret_key_file: .*No such file"):
        Payments(PaymentsFile(stripe=StripeFile(secret_key_file=str(tmp_path / "none"))), {})
    with pytest.raises(ConfigError, match="expected a secret key") as error:
        Payments(PaymentsFile(stripe=StripeFile(secret_key_env="KEY")), {"KEY": "pk_live_public"})
    assert "pk_live_public" not in str(error.value)
    stripe = StripeFile(secret_key_env="KEY", webhook_secret_env="HOOK")
    with pytest.raises(ConfigError, match="signing secret") as error:
        Payments(PaymentsFile(stripe=stripe), {"KEY": "sk_test_x", "HOOK": "hunter2"})
    assert "hunter2" not in str(error.value)
