# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""Filters from the view of one host to the config of the module lvs.cluster.host."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.lvs.cluster.plugins.plugin_utils import objects, objects_heartbeat


def _filter(function: Any) -> Any:
    def call(view: dict[str, Any], *options: Any) -> dict[str, Any]:
        try:
            return function(view, *options)
        except objects.ObjectsError as error:
            raise AnsibleFilterError(str(error)) from error

    return call


class FilterModule:
    """The filters, one a role."""

    def filters(self) -> dict[str, Any]:
        return {
            "director_objects": _filter(objects.director_objects),
            "keepalived_objects": _filter(objects.keepalived_objects),
            "ldirectord_objects": _filter(objects.ldirectord_objects),
            "heartbeat_objects": _filter(objects_heartbeat.heartbeat_objects),
            "syncd_objects": _filter(objects.syncd_objects),
            "realserver_objects": _filter(objects.realserver_objects),
        }
