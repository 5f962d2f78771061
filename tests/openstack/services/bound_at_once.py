"""A mechanism driver of the network service that binds every port at once: the compute driver makes the links."""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class Mechanism(api.MechanismDriver):
    """The driver."""

    def initialize(self):
        """Nothing to prepare."""

    @property
    def connectivity(self):
        """Switched."""
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        """Take the first segment."""
        segment = context.segments_to_bind[0]
        details = {portbindings.CAP_PORT_FILTER: True}
        context.set_binding(segment[api.ID], portbindings.VIF_TYPE_BRIDGE, details, status=constants.PORT_STATUS_ACTIVE)
