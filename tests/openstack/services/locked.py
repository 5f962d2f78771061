"""Has a service try again when SQLite is locked, as it does when a database server finds a deadlock."""

import sqlalchemy
from oslo_db import exception
from oslo_db.sqlalchemy import exc_filters


@exc_filters.filters("sqlite", sqlalchemy.exc.OperationalError, r".*database is locked")
def locked(error, match, engine, is_disconnect):
    """The services' own decorators retry what meets this."""
    raise exception.DBDeadlock(error)
