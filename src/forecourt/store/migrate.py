"""Brings a database to this version's schema. The steps are in `migrations/versions`, and ship with the package."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text

from forecourt.store.engines import is_postgresql
from forecourt.store.sequences import make_native

SCRIPTS: Final = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(:key)")
UPGRADE: Final = 0x0F0C01
"""The number of the lock."""


def configuration() -> Config:
    """Alembic's, without a file."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(engine: Engine, revision: str = "head") -> str:
    """Run the steps that are missing; all of them, or none where the database can. Gives where it is now."""
    config = configuration()
    if engine.dialect.name == "postgresql":
        # Who has waited must see what was done meanwhile, and not what there was when it began to wait.
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    with engine.begin() as connection:
        if is_postgresql(connection):
            # Of several processes that start together, one migrates.
            connection.execute(_ONE_AT_A_TIME, {"key": UPGRADE})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if is_postgresql(connection):
            make_native(connection)
        return str(MigrationContext.configure(connection).get_current_revision())
