"""Makes the tables of the compute, network and image services, in SQLite: schemas.py FOLDER TRANSPORT.

From their models: their migrations take ten times as long, and those of the network service do not run on SQLite.
"""

import sys

import sqlalchemy
from glance.db.sqlalchemy import models as glance
from glance.db.sqlalchemy import models_metadef as glance_definitions
from neutron.db.migration.models import head as neutron
from nova.db.api import models as nova_api
from nova.db.main import models as nova

FOLDER, TRANSPORT = sys.argv[1:]
CELL_0, CELL_1 = (f"00000000-0000-0000-0000-{number:012}" for number in (0, 1))


def database(name):
    return f"sqlite:///{FOLDER}/db/{name}.db"


def create(name, *bases):
    engine = sqlalchemy.create_engine(database(name))
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")  # who reads holds up nobody who writes
    with engine.begin() as connection:
        for metadata in bases:
            metadata.create_all(connection)


create("neutron", neutron.get_metadata())
create("glance", glance.BASE.metadata, glance_definitions.BASE_DICT.metadata)
create("nova_api", nova_api.BASE.metadata)
create("nova_cell0", nova.BASE.metadata)
create("nova_cell1", nova.BASE.metadata)
# Every compute service has a cell for what could not be placed, and one at least for what could.
cells = [
    {"uuid": CELL_0, "name": "cell0", "transport_url": "none:///", "database_connection": database("nova_cell0")},
    {"uuid": CELL_1, "name": "cell1", "transport_url": TRANSPORT, "database_connection": database("nova_cell1")},
]
with sqlalchemy.create_engine(database("nova_api")).begin() as connection:
    connection.execute(sqlalchemy.insert(nova_api.CellMapping.__table__), cells)
