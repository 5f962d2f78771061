"""Identity and placement in one process: keystone_placement.py FOLDER PASSWORD REGION KEYSTONE-PORT PLACEMENT-PORT.

Identity makes its tables and the administrator's account first, as ``keystone-manage`` would.
"""

import os
import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

FOLDER, PASSWORD, REGION, *PORTS = sys.argv[1:]
del sys.argv[1:]  # both services read arguments of their own
os.environ["OS_KEYSTONE_CONFIG_FILES"] = f"{FOLDER}/keystone.conf"
os.environ["OS_PLACEMENT_CONFIG_DIR"] = FOLDER

# The environment says where these read their configuration.
from keystone.cmd import bootstrap  # noqa: E402
from keystone.common import sql  # noqa: E402
from keystone.server.wsgi import initialize_public_application  # noqa: E402
from placement.wsgi import init_application  # noqa: E402


class Server(ThreadingMixIn, WSGIServer):
    """A thread per connection."""

    daemon_threads = True
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    """Silent, and without a look at the name service for every request."""

    def log_message(self, *_):
        """The services keep logs of their own."""

    def address_string(self):
        """The client."""
        return self.client_address[0]


def serve(application, port):
    server = Server(("127.0.0.1", int(port)), Handler)
    server.set_app(application)
    threading.Thread(target=server.serve_forever).start()


def fill(url):
    """The tables and the first account."""
    with sql.session_for_write() as session:
        sql.ModelBase.metadata.create_all(session.connection())
    bootstrap.backends.load_backends = lambda: None  # they are loaded
    first = bootstrap.Bootstrapper()
    first.admin_username, first.admin_password, first.admin_role_name = "admin", PASSWORD, "admin"
    first.project_name, first.region_id, first.service_name = "admin", REGION, "keystone"
    first.public_url = first.internal_url = first.admin_url = url
    first.bootstrap()


identity = initialize_public_application()
fill(f"http://127.0.0.1:{PORTS[0]}/v3/")
serve(identity, PORTS[0])
serve(init_application(), PORTS[1])
