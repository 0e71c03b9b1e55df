# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""From the view of one director to the config of C(lvs.cluster.host): what it has so that heartbeat moves the VIPs."""

from __future__ import annotations

from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import boot, boot_heartbeat, heartbeat, ldirectord
from ansible_collections.lvs.cluster.plugins.plugin_utils.objects import (
    ObjectsError,
    config_of,
    moving_lines,
    moving_vips,
    require,
)

READ = [heartbeat.CONF, heartbeat.RESOURCES, heartbeat.KEY, heartbeat.IPFAIL]
"""The files that heartbeat reads, or runs, and judges."""


def heartbeat_objects(view: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What a director has so that heartbeat moves the VIPs.

    :param options: `key`, the value of lvs_heartbeat_key, which is in no view.
    """
    require(view, "director")
    if not view["heartbeat"]:
        raise ObjectsError(
            f"{view['host']} has no use for heartbeat: lvs_failover is {view['failover']}; say lvs_failover: heartbeat,"
            " or don't apply the role"
        )
    moving = moving_vips(view)
    config = config_of("heartbeat", modules=[], sysctls={}, moving=moving)
    config["files"] += [
        {"path": boot_heartbeat.DROP_IN, "content": boot_heartbeat.DROP_IN_CONTENT},
        _program(boot_heartbeat.SCRIPT, boot_heartbeat.SCRIPT_CONTENT.replace("@MOVING@\n", moving_lines(moving))),
        _program(heartbeat.IPFAIL, boot_heartbeat.IPFAIL_CONTENT),
        {"path": heartbeat.CONF, "content": heartbeat.configuration(view)},
        {"path": heartbeat.RESOURCES, "content": heartbeat.resources(view)},
    ]
    scripts = {heartbeat.TURN: boot_heartbeat.TURN_CONTENT}
    scripts |= dict.fromkeys(heartbeat.own_scripts(view), boot_heartbeat.VIP_CONTENT)
    if view["directors_serve"]:
        scripts[heartbeat.ROWS] = boot_heartbeat.ROWS_CONTENT.replace("@ROWS@", ldirectord.TABLE)
    config["files"] += [_program(f"{heartbeat.FOLDER}/resource.d/{name}", text) for name, text in scripts.items()]
    config["secret_files"] = [{"path": heartbeat.KEY, "content": heartbeat.authkeys(options["key"])}]
    config["units"] = [boot.UNIT, boot_heartbeat.UNIT]
    config["daemons"] = [
        {
            "unit": boot_heartbeat.UNIT,
            "program": "heartbeat",
            "folders": boot_heartbeat.FOLDERS,
            "files": READ,
            "judge": boot_heartbeat.JUDGE,
        }
    ]
    return config


def _program(path: str, content: str) -> dict[str, Any]:
    return {"path": path, "content": content, "mode": "0755"}
