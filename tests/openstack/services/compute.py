"""The whole compute service in one process: conductor, scheduler, API, and a compute service for each host named.

compute.py FOLDER HOST...  They speak through oslo.messaging within the process, so that no broker is needed.
"""

import sys

import nova.cmd

# isort: split

import eventlet
import locked  # noqa: F401 (what it does, it does when imported)
import namespaces
import nova.virt  # noqa: F401 (where drivers are looked for)
from nova import config, context, objects, service
from nova.compute import rpcapi as compute_rpc
from nova.conductor import rpcapi as conductor_rpc
from nova.conf import CONF
from nova.objects import host_mapping
from nova.scheduler import rpcapi as scheduler_rpc
from oslo_log import log
from oslo_service import service as oslo

FOLDER, *HOSTS = sys.argv[1:]
sys.modules["nova.virt.namespaces"] = namespaces  # drivers are looked for there only
namespaces.FOLDER = FOLDER

config.parse_args(["nova", "--config-file", f"{FOLDER}/nova.conf"])
log.setup(CONF, "nova")
objects.register_all()
objects.Service.enable_min_version_cache()


def discover():
    """Take the hosts into the cell as soon as they have said that they are there."""
    found = 0
    while found < len(HOSTS):
        eventlet.sleep(0.2)
        found += len(host_mapping.discover_hosts(context.get_admin_context()))


launcher = oslo.ServiceLauncher(CONF, restart_method="mutate")
launcher.launch_service(service.Service.create(binary="nova-conductor", topic=conductor_rpc.RPC_TOPIC))
launcher.launch_service(service.Service.create(binary="nova-scheduler", topic=scheduler_rpc.RPC_TOPIC))
for host in HOSTS:
    launcher.launch_service(service.Service.create(binary="nova-compute", topic=compute_rpc.RPC_TOPIC, host=host))
launcher.launch_service(service.WSGIService("osapi_compute", use_ssl=False))
eventlet.spawn_n(discover)
launcher.wait()
