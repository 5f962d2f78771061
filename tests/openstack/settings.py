"""The configuration of a small OpenStack on one machine: identity, image, placement, network and compute.

One process per file of `services/` but for placement, which lives beside identity; no message broker (oslo.messaging
within a process), SQLite, every port on 127.0.0.1.  Pure: what to write, not where.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

REGION = "edge"
#: Of every account in the cloud, which lives as long as a test run and listens on this machine only.
PASSWORD = "tests-only"
#: Messages stay within a process.
TRANSPORT = "fake:///"
#: Compute services, and the availability zone that each is put in.
HOSTS = {"edge1": "z1", "edge2": "z2"}
#: Service, type in the catalogue, path below its port.
SERVICES = {
    "keystone": ("identity", "/v3"),
    "glance": ("image", ""),
    "placement": ("placement", ""),
    "neutron": ("network", ""),
    "nova": ("compute", "/v2.1"),
}

Section = Mapping[str, object]
Sections = Mapping[str, Section]


def render(sections: Sections) -> str:
    """The text of an oslo.config or paste file."""
    lines: list[str] = []
    for name, options in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in options.items()), ""]
    return "\n".join(lines)


def files(folder: Path, ports: Mapping[str, int]) -> dict[str, Sections]:
    """Name of each file and its sections."""

    def url(service: str) -> str:
        return f"http://127.0.0.1:{ports[service]}"

    def account(user: str) -> Section:
        return {
            "auth_url": url("keystone"),
            "auth_type": "password",
            "project_domain_name": "Default",
            "user_domain_name": "Default",
            "project_name": "service",
            "username": user,
            "password": PASSWORD,
            "region_name": REGION,
        }

    def checks_tokens(user: str) -> Section:
        return {"www_authenticate_uri": url("keystone"), "memcached_servers": "", **account(user)}

    def database(name: str) -> Section:
        return {"connection": f"sqlite:///{folder}/db/{name}.db", "sqlite_synchronous": "false"}

    def default(name: str, **options: object) -> Section:
        return {"log_file": f"{folder}/log/{name}.log", "state_path": f"{folder}/state", **options}

    lock = {"oslo_concurrency": {"lock_path": f"{folder}/lock"}}
    return {
        "keystone.conf": {
            "DEFAULT": {"log_file": f"{folder}/log/keystone.log"},
            "database": database("keystone"),
            "token": {"provider": "fernet"},
            "fernet_tokens": {"key_repository": f"{folder}/keys/fernet"},
            "fernet_receipts": {"key_repository": f"{folder}/keys/receipts"},
            "credential": {"key_repository": f"{folder}/keys/credential"},
            "identity": {"password_hash_rounds": 4},
            "cache": {"enabled": "true", "backend": "dogpile.cache.memory"},
        },
        "placement.conf": {
            "DEFAULT": {"log_file": f"{folder}/log/placement.log"},
            "api": {"auth_strategy": "keystone"},
            "placement_database": {**database("placement"), "sync_on_startup": "true"},
            "keystone_authtoken": checks_tokens("placement"),
        },
        "glance.conf": {
            "DEFAULT": {
                "log_file": f"{folder}/log/glance.log",
                "bind_host": "127.0.0.1",
                "bind_port": ports["glance"],
                "workers": 0,
                "enabled_backends": "files:file",
                "enabled_import_methods": "[]",
            },
            "database": database("glance"),
            "glance_store": {"default_backend": "files"},
            "files": {"filesystem_store_datadir": f"{folder}/images"},
            "os_glance_staging_store": {"filesystem_store_datadir": f"{folder}/images/staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": f"{folder}/images/tasks"},
            "paste_deploy": {"flavor": "keystone", "config_file": f"{folder}/glance-paste.ini"},
            "keystone_authtoken": checks_tokens("glance"),
            **lock,
        },
        "glance-paste.ini": {
            "pipeline:glance-api-keystone": {"pipeline": "versions authtoken context rootapp"},
            "composite:rootapp": {
                "paste.composite_factory": "glance.api:root_app_factory",
                "/": "apiversions",
                "/v2": "apiv2app",
            },
            "app:apiversions": {"paste.app_factory": "glance.api.versions:create_resource"},
            "app:apiv2app": {"paste.app_factory": "glance.api.v2.router:API.factory"},
            "filter:versions": {
                "paste.filter_factory": ("glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory")
            },
            "filter:context": {"paste.filter_factory": "glance.api.middleware.context:ContextMiddleware.factory"},
            "filter:authtoken": {
                "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
                "delay_auth_decision": "true",
            },
        },
        "neutron.conf": {
            "DEFAULT": default(
                "neutron",
                bind_host="127.0.0.1",
                bind_port=ports["neutron"],
                core_plugin="ml2",
                service_plugins="",
                transport_url=TRANSPORT,
                auth_strategy="keystone",
                api_workers=0,
                rpc_workers=0,
                rpc_state_report_workers=0,
                notify_nova_on_port_status_changes="false",
                notify_nova_on_port_data_changes="false",
                dhcp_agent_notification="false",
                api_paste_config=f"{folder}/neutron-paste.ini",
            ),
            "database": database("neutron"),
            "ml2": {
                "type_drivers": "local",
                "tenant_network_types": "local",
                "mechanism_drivers": "bound_at_once",
                "extension_drivers": "port_security",
            },
            "securitygroup": {"enable_security_group": "true"},
            "keystone_authtoken": checks_tokens("neutron"),
            "nova": account("nova"),
            **lock,
        },
        "neutron-paste.ini": {
            "composite:neutron": {"use": "egg:Paste#urlmap", "/": "versions", "/v2.0": "api"},
            "composite:api": {
                "use": "call:neutron.auth:pipeline_factory",
                "keystone": "request_id catch_errors authtoken keystonecontext extensions application",
            },
            "filter:request_id": {"paste.filter_factory": "oslo_middleware:RequestId.factory"},
            "filter:catch_errors": {"paste.filter_factory": "oslo_middleware:CatchErrors.factory"},
            "filter:keystonecontext": {"paste.filter_factory": "neutron.auth:NeutronKeystoneContext.factory"},
            "filter:authtoken": {"paste.filter_factory": "keystonemiddleware.auth_token:filter_factory"},
            "filter:extensions": {
                "paste.filter_factory": "neutron.api.extensions:plugin_aware_extension_middleware_factory"
            },
            "app:versions": {"paste.app_factory": "neutron.pecan_wsgi.app:versions_factory"},
            "app:application": {"paste.app_factory": "neutron.api.v2.router:APIRouter.factory"},
        },
        "nova.conf": {
            "DEFAULT": default(
                "nova",
                host=next(iter(HOSTS)),
                my_ip="127.0.0.1",
                transport_url=TRANSPORT,
                compute_driver="namespaces.NamespaceDriver",
                enabled_apis="osapi_compute",
                osapi_compute_listen="127.0.0.1",
                osapi_compute_listen_port=ports["nova"],
                osapi_compute_workers=1,
                report_interval=5,
                reserved_host_memory_mb=0,
                cpu_allocation_ratio=1.0,
                ram_allocation_ratio=1.0,
                disk_allocation_ratio=1.0,
                instance_usage_audit="false",
            ),
            "api": {"auth_strategy": "keystone"},
            "api_database": database("nova_api"),
            "database": database("nova_cell1"),
            "conductor": {"workers": 1},
            "scheduler": {"workers": 1},
            "filter_scheduler": {"track_instance_changes": "false"},
            "glance": {"api_servers": url("glance")},
            "oslo_messaging_notifications": {"driver": "noop"},
            "vnc": {"enabled": "false"},
            "wsgi": {"api_paste_config": f"{folder}/nova-paste.ini"},
            "keystone_authtoken": checks_tokens("nova"),
            "placement": account("placement"),
            "neutron": {**account("neutron"), "service_metadata_proxy": "false"},
            "service_user": account("nova"),
            **lock,
        },
        "nova-paste.ini": {
            "composite:osapi_compute": {
                "use": "call:nova.api.openstack.urlmap:urlmap_factory",
                "/": "versions",
                "/v2.1": "api",
            },
            "composite:api": {
                "use": "call:nova.api.auth:pipeline_factory_v21",
                "keystone": "req_id faultwrap authtoken keystonecontext application",
            },
            "filter:req_id": {"paste.filter_factory": "nova.api.compute_req_id:ComputeReqIdMiddleware.factory"},
            "filter:faultwrap": {"paste.filter_factory": "nova.api.openstack:FaultWrapper.factory"},
            "filter:keystonecontext": {"paste.filter_factory": "nova.api.auth:NovaKeystoneContext.factory"},
            "filter:authtoken": {"paste.filter_factory": "keystonemiddleware.auth_token:filter_factory"},
            "app:application": {"paste.app_factory": "nova.api.openstack.compute:APIRouterV21.factory"},
            "pipeline:versions": {"pipeline": "faultwrap versions_application"},
            "app:versions_application": {"paste.app_factory": "nova.api.openstack.compute.versions:Versions.factory"},
        },
    }
