#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One call for everything but the kernel's table that a host of an LVS cluster owns."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host
short_description: Kernel modules, sysctls, packet rules, addresses, routes, files and units of an LVS host
version_added: "0.1.0"
author: The lvs.cluster authors (@lvs-cluster)
description:
  - Puts in place what a director or a real server needs beside the kernel's IPVS table, in one call, in the order that
    protects traffic, and remembers it in a record on the host.
  - What is in the record and no longer in O(config) is taken away, or given the value it had before the first run. What
    is in neither is somebody else's and is never touched.
  - The record is widened before the host is changed and narrowed after success, so that a run which was killed anywhere
    is mended by the next one.
  - The roles C(lvs.cluster.director) and C(lvs.cluster.realserver) call it; a playbook of your own may too, with a
    record of its own.
options:
  record:
    description:
      - The file that remembers what this module put on the host, for example C(/etc/lvs/director.record).
      - It is plain text, one object a line in the words of C(ip) and C(sysctl); C(lvs-cluster.service) loads every
        C(*.record) file of the folder at boot.
      - Other C(*.record) files in the same folder are read too. An object that another record names stays on the host
        until the last record forgets it.
    type: path
    required: true
  state:
    description:
      - V(present) makes the host agree with O(config).
      - V(absent) takes away all that the record names, and the record. O(config) is not used then.
    type: str
    choices: [present, absent]
    default: present
  rivals:
    description:
      - Names of other records in the same folder that must be gone first, because what they own would be in the way.
        While one of them is there, nothing is done but to list it as RV(rivals).
    type: list
    elements: str
    default: []
  removals:
    description:
      - V(now) takes away at once what the record names and O(config) does not.
      - V(later) leaves it in place and in the record, and lists it as RV(stale), so that a real server can stop to
        accept a VIP after the directors have stopped to send to it. Single rules of O(config.packets) wait likewise.
    type: str
    choices: [now, later]
    default: now
  config:
    description: What the host shall have.
    type: dict
    suboptions:
      modules:
        description:
          - Kernel modules that must be loaded. They stay loaded when the record forgets them.
          - A file of O(config.files) below C(/etc/modprobe.d) is written before; where a module is loaded already with
            other options than it says, a warning tells so, because they count from the module's next load.
        type: list
        elements: str
        default: []
      needed_modules:
        description:
          - Kernel modules of IPVS that the kernel loads by itself when a row of its table names them, schedulers for
            example. Nothing is loaded here.
          - Where the list of the kernel's modules knows C(ip_vs) and not one of these, the module fails before it has
            changed anything, in check mode as well. Without a list, as in a container, it is left to the kernel.
        type: list
        elements: str
        default: []
      links:
        description:
          - Network devices. One with a C(type) is created, as in C(ip link add NAME type TYPE); one without must exist.
          - Each is set up.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The device's name.
            type: str
            required: true
          type:
            description: The device's type and its options as in ip-link(8), for example V(dummy).
            type: str
      gue_ports:
        description:
          - UDP ports that unpack GUE (ip-fou(8)). The packets go on as if they had come without it, to a device of
            O(config.links). Needs the module C(fou) in O(config.modules).
        type: list
        elements: dict
        default: []
        suboptions:
          family:
            description: The address family of the packets that carry it.
            type: str
            choices: [ipv4, ipv6]
            default: ipv4
          port:
            description: The port.
            type: int
            required: true
      sysctls:
        description:
          - Sysctls by name. As in sysctl(8), a slash stands for a dot inside an interface's name.
          - The value before the first run is remembered and given back at removal, unless somebody has changed it
            since.
          - A name below C(net.ipv4.vs) which this kernel does not have is skipped with a warning; any other is an
            error, unless it is O(config.sysctls[].optional).
          - The kernel itself turns 1 into 2 and back in C(net.ipv4.vs.drop_entry), C(drop_packet) and C(secure_tcp);
            they count as the same.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The sysctl's name.
            type: str
            required: true
          value:
            description: Its value.
            type: str
            required: true
          unless:
            description: Leave the sysctl alone while it has this value.
            type: str
          optional:
            description:
              - Skip it with a warning where the kernel does not have it, or does not let it be set from a container,
                whatever its name.
            type: bool
            default: false
      packets:
        description:
          - Rules of nftables for packets, in a table of the record's own, for example C(inet lvs_director) of
            C(director.record). No other table is touched.
          - A file beside the record, for example C(director.nft), holds them for the host's next boot. C(nft) judges it
            before anything is changed, and must be installed; check mode goes on without it, and says so.
          - They are loaded again when the kernel's table is not this one. At removal the table and the file go.
        type: dict
        suboptions:
          mark:
            description:
              - Rules that put firewall marks on packets as they come in, for example
                V(ip daddr 192.0.2.10 tcp dport { 80, 443 } meta mark set 0x7). The last one that a packet matches
                decides.
            type: list
            elements: str
            default: []
          redirect:
            description: Rules that send packets as they come in elsewhere, for example
              V(ip daddr 192.0.2.10 tcp dport 80 redirect to :8080). The first one that a packet matches decides.
            type: list
            elements: str
            default: []
          masquerade:
            description: Rules that give packets as they go out another source, for example
              V(ip saddr 10.0.0.0/24 oifname "eth0" snat to 192.0.2.10). The first one that a packet matches decides.
            type: list
            elements: str
            default: []
          clamp:
            description: Rules that change or drop packets as they go out, for example
              V(tcp flags syn tcp option maxseg size set 1440).
            type: list
            elements: str
            default: []
      addresses:
        description:
          - VIPs on the host's devices.
          - An IPv6 address is never chosen as the source of what the host itself sends (preferred lifetime 0,
            RFC 4862), not even of a director's tunnels, and has no duplicate address detection.
          - Where systemd-networkd manages the device, a drop-in with C(KeepConfiguration) is written too,
            because networkd would otherwise drop the address when it restarts. Rules and routes get theirs likewise.
        type: list
        elements: dict
        default: []
        suboptions:
          address:
            description: The address with its prefix length, for example V(192.0.2.10/32).
            type: str
            required: true
          interface:
            description: The device that carries it.
            type: str
            required: true
      routes:
        description:
          - Routes, each C(ip route replace)d. The route that stood in its place before the first run is remembered
            and given back at removal.
        type: list
        elements: dict
        default: []
        suboptions:
          family:
            description: The address family.
            type: str
            choices: [ipv4, ipv6]
            default: ipv4
          type:
            description:
              - V(local) makes the destination the host's own, without any interface that holds it.
                O(config.routes[].via) means nothing then, and O(config.routes[].interface) is V(lo).
            type: str
            choices: [unicast, local]
            default: unicast
          to:
            description: The destination.
            type: str
            default: default
          via:
            description: The gateway. This or O(config.routes[].interface) is needed.
            type: str
          interface:
            description: The device. By default the kernel finds the one on which the gateway is.
            type: str
          table:
            description: The routing table's number. By default the main table.
            type: int
      rules:
        description: Policy routing rules.
        type: list
        elements: dict
        default: []
        suboptions:
          family:
            description: The address family.
            type: str
            choices: [ipv4, ipv6]
            default: ipv4
          source:
            description:
              - The packets' source address or network. This, O(config.rules[].fwmark) or O(config.rules[].interface) is
                needed.
              - V(0.0.0.0) is what the host sends and has given no address yet. For IPv6 no source says that.
            type: str
          fwmark:
            description: The packets' firewall mark.
            type: int
          interface:
            description: The interface by which packets come in; V(lo) for what the host itself sends.
            type: str
          destination:
            description: The packets' destination address. By default any.
            type: str
          protocol:
            description: The packets' protocol.
            type: str
            choices: [tcp, udp, sctp]
          source_port:
            description:
              - The packets' source port, or a range such as V(1024-65534). The kernel takes no 65535 here
                (fib_rule_port_range_valid in include/net/fib_rules.h).
            type: str
          table:
            description: The routing table to look up.
            type: int
            required: true
          priority:
            description: The rule's priority.
            type: int
            required: true
      files:
        description:
          - Small text files, written atomically. One below C(/etc/systemd/system) is followed by a daemon-reload.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The file's path.
            type: path
            required: true
          content:
            description: Its whole content.
            type: str
            required: true
          mode:
            description: Its mode, in octal.
            type: str
            default: "0644"
          redact:
            description:
              - A regular expression with one group. What the group matches in a line is shown as C((hidden)) in diffs,
                of the old content and the new one, and the line in no message of a daemon's.
            type: str
      secret_files:
        description: The same for files whose content is in no diff and no message.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The file's path.
            type: path
            required: true
          content:
            description: Its whole content.
            type: str
            required: true
          mode:
            description: Its mode, in octal.
            type: str
            default: "0600"
          redact:
            description:
              - A regular expression with one group. What the group matches in a line is shown as C((hidden)) in diffs,
                of the old content and the new one, and the line in no message of a daemon's.
              - A file of O(config.secret_files) with it has a diff; without, none.
            type: str
      moving:
        description:
          - VIPs which another program moves between hosts. This module neither adds nor removes them; those it added
            itself in an earlier run leave the record and stay on the host, for that program to take over.
          - Drop-ins for systemd-networkd are written as for O(config.addresses).
        type: list
        elements: dict
        default: []
        suboptions:
          address:
            description: The address with its prefix length.
            type: str
            required: true
          interface:
            description: The device that carries it.
            type: str
            required: true
      daemons:
        description:
          - Daemons that read some of O(config.files) and O(config.secret_files). When one of these would change, the
            daemon's own judge reads the candidates first; if it refuses them, nothing on the host is changed.
          - A daemon that runs is reloaded after its files have changed, never restarted. Name it in O(config.units)
            too. It is ours then even where it ran before, so that its removal stops it.
        type: list
        elements: dict
        default: []
        suboptions:
          unit:
            description: The daemon's unit.
            type: str
            required: true
          program:
            description: The daemon's program. Check mode goes on where it is not installed yet, and says so.
            type: str
            required: true
          folders:
            description: Folders to look for the program in, before those of PATH.
            type: list
            elements: path
            default: []
          files:
            description: The files it reads, the main one first.
            type: list
            elements: path
            required: true
          judge:
            description:
              - The command that judges the main file, whose path is added to it. C({program}) in it stands for the
                full path of the program.
            type: list
            elements: str
            required: true
          harmless:
            description: Regular expressions for lines of the judge's that are no reason to refuse.
            type: list
            elements: str
            default: []
      masked_units:
        description: Units of the distribution that must not run beside ours. They are masked, not stopped.
        type: list
        elements: str
        default: []
      units:
        description: Units that must be enabled and started.
        type: list
        elements: str
        default: []
      idle_units:
        description:
          - Units that must be disabled and stopped, because another program starts what they would. They stay so when
            the record forgets them.
        type: list
        elements: str
        default: []
extends_documentation_fragment:
  - lvs.cluster.attributes
"""

EXAMPLES = r"""
- name: A VIP that does not answer ARP, on a real server
  lvs.cluster.host:
    record: /etc/lvs/mine.record
    config:
      sysctls:
        - {name: net.ipv4.conf.all.arp_ignore, value: "1"}
        - {name: net.ipv4.conf.all.arp_announce, value: "2"}
      addresses:
        - {address: 192.0.2.10/32, interface: lo}

- name: All of it away again
  lvs.cluster.host:
    record: /etc/lvs/mine.record
    state: absent
"""

RETURN = r"""
commands:
  description: What was done (or, in check mode, would be), in the words of ip(8), nft(8), sysctl(8) and systemctl(1).
  returned: always
  type: list
  elements: str
  sample: ["ip address replace 192.0.2.10/32 dev lo"]
stale:
  description: Objects which the record names and O(config) does not, left in place because of O(removals=later).
  returned: always
  type: list
  elements: str
  sample: ["address 192.0.2.11/32 dev lo"]
rivals:
  description: Which of O(rivals) are on the host. When there are any, nothing was done.
  returned: always
  type: list
  elements: str
  sample: []
"""

import os  # noqa: E402
import re  # noqa: E402
import shutil  # noqa: E402
import tempfile  # noqa: E402
from typing import Any, Dict, Iterable, List  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.lvs.cluster.plugins.module_utils import host_objects as ho  # noqa: E402
from ansible_collections.lvs.cluster.plugins.module_utils import packets  # noqa: E402
from ansible_collections.lvs.cluster.plugins.module_utils.files import (  # noqa: E402
    read_text,
    write_atomically,
)
from ansible_collections.lvs.cluster.plugins.module_utils.host_daemons import (  # noqa: E402
    Daemon,
    candidates,
    places_of,
    verdict,
)
from ansible_collections.lvs.cluster.plugins.module_utils.host_system import (  # noqa: E402
    File,
    HostRefused,
    HostSystem,
    sysctl_path,
)
from ansible_collections.lvs.cluster.plugins.module_utils.kernel_modules import lacking  # noqa: E402
from ansible_collections.lvs.cluster.plugins.module_utils.networkd import drop_ins  # noqa: E402

MISSING = (
    "this kernel (%s) has no module %s, loaded or not, so nothing was changed: let no service name this scheduler (or "
    "engine), or boot a kernel that has it"
)

# Objects that bring others into being: a module its sysctls, a link its addresses. They go first, and what is there
# is read again after them, so that the record holds the values from before us.
GROUNDWORK = ("folder", "file", "mask", "module", "link")

FAMILY = {"ipv4": "-4", "ipv6": "-6"}


def objects(config: Dict[str, Any], paths: Iterable[str], table: str) -> List[ho.Object]:
    """The objects that a config describes, with the files at these paths and its rules for packets in this table."""
    folders = {os.path.dirname(path) for path in paths}
    found = [ho.Object("folder", path) for path in sorted(folders)]
    found += [ho.Object("file", path) for path in paths]
    found += [ho.Object("mask", name) for name in config["masked_units"]]
    found += [ho.Object("module", name) for name in config["modules"]]
    found += [ho.Object("link", "%(name)s type %(type)s" % row) for row in config["links"] if row["type"]]
    found += [ho.Object("up", row["name"]) for row in config["links"]]
    found += [ho.Object("gue", _gue(row)) for row in config["gue_ports"]]
    found += [ho.Object("sysctl", "%s = %s" % (row["name"], row["value"])) for row in config["sysctls"]]
    if any(config["packets"].values()):
        found.append(ho.Object("packets", packets.summary(table, config["packets"])))
    found += [ho.Object("address", _address(row)) for row in config["addresses"]]
    found += [ho.Object("route", _route(row)) for row in config["routes"]]
    found += [ho.Object("rule", _rule(row)) for row in config["rules"]]
    found += [ho.Object("unit", name) for name in config["units"]]
    found += [ho.Object("idle", name) for name in config["idle_units"]]
    return found


def _gue(row: Dict[str, Any]) -> str:
    return "port %d%s" % (row["port"], " -6" if row["family"] == "ipv6" else "")


def _address(row: Dict[str, Any]) -> str:
    text = "%(address)s dev %(interface)s" % row
    if ":" in row["address"]:
        text += " nodad preferred_lft 0"
    return text


def _route(row: Dict[str, Any]) -> str:
    text = " ".join([FAMILY[row["family"]], *(["local"] if row["type"] == "local" else []), _end(row["to"])])
    if row["via"]:
        text += " via %s" % row["via"]
    if row["interface"]:
        text += " dev %s" % row["interface"]
    if row["table"]:
        text += " table %d" % row["table"]
    return text


def _end(destination: str) -> str:
    """A destination as `ip` prints it: that of one address without its prefix length."""
    length = "/128" if ":" in destination else "/32"
    return destination[: -len(length)] if destination.endswith(length) else destination


def _rule(row: Dict[str, Any]) -> str:
    text = FAMILY[row["family"]]
    if row["source"]:
        text += " from %s" % row["source"]
    if row["fwmark"]:
        text += " fwmark 0x%x" % row["fwmark"]
    if row["interface"]:
        text += " iif %s" % row["interface"]
    if row["destination"]:
        text += " to %s" % row["destination"]
    if row["protocol"]:
        text += " ipproto %s" % row["protocol"]
    if row["source_port"]:
        text += " sport %s" % row["source_port"]
    return text + " lookup %d priority %d" % (row["table"], row["priority"])


def files(config: Dict[str, Any], record: str) -> Dict[str, File]:
    """The files that a config names, that of its packet rules, and those that keep networkd from our objects."""
    found = {row["path"]: _file(row) for row in config["files"]}
    found.update({row["path"]: _file(row)._replace(secret=True) for row in config["secret_files"]})
    if any(config["packets"].values()):
        found[packets.file_of(record)] = File(packets.text(packets.table_of(record), config["packets"]))
    addresses = {(row["address"], row["interface"]) for row in config["addresses"] + config["moving"]}
    found.update(drop_ins(addresses, routing=bool(config["rules"] or config["routes"])))
    return found


def _file(row: Dict[str, Any]) -> File:
    return File(row["content"], int(row["mode"], 8), redact=row["redact"] or "")


def unheeded(found: Dict[str, File], parameters: str = "/sys/module") -> List[str]:
    """What to say of module options in our files that the loaded module was not loaded with."""
    said = []
    for path, file in sorted(found.items()):
        if not path.startswith("/etc/modprobe.d/"):
            continue
        for module, name, value in re.findall(r"^options (\S+) (\w+)=(\S+)$", file.content, re.MULTILINE):
            now = read_text("%s/%s/parameters/%s" % (parameters, module, name))
            if now is not None and now.strip() != value:
                said.append(
                    "%s: %s is loaded with %s=%s; %s counts from its next load, at the host's next boot"
                    % (path, module, name, now.strip(), value)
                )
    return said


def other_records(record: str) -> List[ho.Object]:
    """The objects of the other records in the record's folder."""
    folder = os.path.dirname(record)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    paths = [os.path.join(folder, name) for name in names if name.endswith(".record")]
    return [obj for path in paths if path != record for obj in ho.parse_record(read_text(path) or "")]


class Run:
    """One run of the module: the host, the record, and what was done so far."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.path = module.params["record"]
        present = module.params["state"] == "present"
        config = module.params["config"] if present else None
        self.table, self.rules_file = packets.table_of(self.path), packets.file_of(self.path)
        self.recorded = ho.parse_record(read_text(self.path) or "")
        self.leaving: packets.Rules = {}
        if config:
            rules = config["packets"] or {}
            self.leaving = self._leaving(rules)
            config = {**config, "packets": packets.beside(rules, self.leaving)}
        self.files = files(config, self.path) if config else {}
        self.desired = self._wanted(config) if config else []
        self.others = other_records(self.path)
        if config:
            self.others += [ho.Object("address", _address(row)) for row in config["moving"]]
        self.daemons = [Daemon.of(row) for row in config["daemons"]] if config else []
        self.pending = self.path + ".pending"
        needed = any(obj.kind == "packets" for obj in self.desired + self.recorded)
        self.nft = (module.get_bin_path("nft") or "") if needed else ""
        self.system = HostSystem(self._run_command, self.files, module.check_mode, self.rules_file, self.nft)

    def _run_command(self, words: List[str]) -> Any:
        return self.module.run_command(words, environ_update={"LC_ALL": "C"})

    def _leaving(self, wanted: packets.Rules) -> packets.Rules:
        """The rules that go later than others come. Where none is wanted, the whole table is what waits."""
        waits = self.module.params["removals"] == "later" and any(o.kind == "packets" for o in self.recorded)
        if not waits or not any(wanted.values()):
            return {}
        return packets.leaving(wanted, packets.rules_of(self.table, read_text(self.rules_file) or ""))

    def _wanted(self, config: Dict[str, Any]) -> List[ho.Object]:
        """The config's objects without the sysctls that shall or must be left alone."""
        unless = {row["name"]: row["unless"] for row in config["sysctls"] if row["unless"] is not None}
        optional = {row["name"] for row in config["sysctls"] if row["optional"]}
        wanted = []
        for obj in objects(config, self.files, self.table):
            if obj.kind == "sysctl":
                name = obj.key[1]
                value = read_text(sysctl_path(name))
                if name in unless and value is not None and value.strip() == unless[name]:
                    continue
                newer = name.startswith("net.ipv4.vs.") and os.path.isdir("/proc/sys/net/ipv4/vs")
                if value is None and (newer or name in optional):
                    self.module.warn("%s: this kernel does not have it: skipped" % name)
                    continue
                if name in optional and not os.access(sysctl_path(name), os.W_OK):
                    self.module.warn("%s: a container may not set it: skipped" % name)
                    continue
            wanted.append(obj)
        return wanted

    def read(self) -> Dict[ho.Key, Any]:
        return self.system.read(self.recorded, self.desired)

    def plan(self, current: Dict[ho.Key, Any], remove: bool) -> ho.Plan:
        owned = [("unit", one.unit) for one in self.daemons]
        return ho.plan(self.desired, self.recorded, current, self.others, remove, owned)

    def apply(self, plan: ho.Plan) -> None:
        """Do what the plan says; the record holds every object before it is touched and until it is gone."""
        if plan.widened != self.recorded:
            self.write(plan.widened)
        reload = self.to_reload(plan)
        if reload:
            self.note_pending(reload)
        for obj in plan.add:
            self.system.add(obj)
        for obj in plan.remove:
            self.system.remove(obj)
        for unit in reload:
            if self.system.units[unit]["ActiveState"] == "active":
                self.system.reload(unit)
        if reload or not self.desired:
            self.forget_pending()
        if plan.narrowed != self.recorded:
            self.write(plan.narrowed)

    def to_reload(self, plan: ho.Plan) -> List[str]:
        """The daemons whose files change, or had changed when an earlier run was stopped before their reload."""
        changed = {obj.text for obj in plan.add if obj.kind == "file"}
        pending = (read_text(self.pending) or "").split()
        return [one.unit for one in self.daemons if one.unit in pending or changed.intersection(one.files)]

    def note_pending(self, units: List[str]) -> None:
        if not self.module.check_mode:
            os.makedirs(os.path.dirname(self.pending), mode=0o755, exist_ok=True)
            write_atomically(self.pending, " ".join(units) + "\n", 0o644)

    def forget_pending(self) -> None:
        if not self.module.check_mode and os.path.exists(self.pending):
            os.unlink(self.pending)

    def judge(self, plan: ho.Plan) -> None:
        """Let nft and each daemon judge their files before anything is changed."""
        changed = {obj.text for obj in plan.add if obj.kind == "file"}
        if self.rules_file in changed or any(obj.kind == "packets" for obj in plan.add):
            self._judge_rules()
        for daemon in self.daemons:
            if not changed.intersection(daemon.files):
                continue
            folders = {"opt_dirs": daemon.folders} if daemon.folders else {}
            program = self.module.get_bin_path(daemon.program, **folders)
            if program:
                self._judge(daemon, program)
            elif self.module.check_mode:
                self.module.warn(
                    "%s: %s is not installed yet; the run will let it judge" % (daemon.files[0], daemon.program)
                )
            else:
                raise HostRefused("%s: %s is not installed to judge it; install it" % (daemon.files[0], daemon.program))

    def _judge_rules(self) -> None:
        if not self.nft and self.module.check_mode:
            self.module.warn("%s: nft is not installed yet; the run will let it judge" % self.rules_file)
            return
        if not self.nft:
            raise HostRefused("%s: nft is not installed to load it; install nftables" % self.rules_file)
        folder = tempfile.mkdtemp(prefix="lvs-")
        try:
            place = os.path.join(folder, os.path.basename(self.rules_file))
            write_atomically(place, self.files[self.rules_file].content, 0o600)
            status, out, err = self._run_command(["nft", "-c", "-f", place])
        finally:
            shutil.rmtree(folder)
        if status != 0:
            raise HostRefused(
                "nft refuses the new %s, so nothing was changed. It says:\n%s"
                % (self.rules_file, (err or out).replace(place, self.rules_file).strip())
            )

    def _judge(self, daemon: Daemon, program: str) -> None:
        folder = tempfile.mkdtemp(prefix="lvs-")
        try:
            for place, content in candidates(daemon, self.files, folder).items():
                write_atomically(place, content, 0o600)
            places = places_of(daemon, self.files, folder)
            status, _out, words = self._run_command([*daemon.command(program), places[daemon.files[0]]])
        finally:
            shutil.rmtree(folder)
        secrets = [file.secrets for file in self.files.values()]
        why = verdict(daemon, status, words, places, secrets)
        if why:
            raise HostRefused(
                "%s refuses the new %s, so nothing was changed and the old one serves on. It says:\n%s"
                % (daemon.unit, daemon.files[0], why)
            )

    def write(self, recorded: List[ho.Object]) -> None:
        if self.module.check_mode:
            return
        self.recorded = recorded
        if recorded:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            write_atomically(self.path, ho.print_record(recorded), 0o644)
        elif os.path.exists(self.path):
            os.unlink(self.path)
            folder = os.path.dirname(self.path)
            if not os.listdir(folder):
                os.rmdir(folder)


def diffs(run: Run, plan: ho.Plan, before: Dict[ho.Key, Any]) -> List[Dict[str, str]]:
    """One diff of all objects, and one of each file that changes."""
    shown = ho.ordered({obj.key: obj for obj in run.recorded + run.desired}.values())
    found = [
        {
            "before_header": "%s (objects)" % run.path,
            "after_header": "%s (objects)" % run.path,
            "before": ho.diff_lines(shown, before),
            "after": ho.diff_lines(shown, ho.after(plan, before)),
        }
    ]
    for obj in plan.add:
        file = run.files[obj.text] if obj.kind == "file" else None
        after = file.shown(file.content) if file else None
        if file and after is not None:
            before_text = file.shown(read_text(obj.text) or "") or ""
            found.append({"before_header": obj.text, "after_header": obj.text, "before": before_text, "after": after})
    return found


class HostModule(AnsibleModule):
    """A module that leaves its files out of the host's log.

    Ansible logs each module's parameters. It hides secrets in what Python prints of them, where it does not find those
    of several lines.
    """

    def _log_invocation(self) -> None:
        self.log("Invoked with record=%(record)s state=%(state)s" % self.params)


def execute(module: AnsibleModule) -> Dict[str, Any]:
    """Plan, and unless in check mode, apply; the module's result."""
    needed = module.params["config"]["needed_modules"] if module.params["state"] == "present" else []
    missing = lacking(needed)
    if missing:
        raise HostRefused(MISSING % (os.uname().release, " and ".join(missing)))
    folder = os.path.dirname(module.params["record"])
    rivals = [name for name in module.params["rivals"] if os.path.exists(os.path.join(folder, name))]
    if rivals:
        return {"changed": False, "rivals": rivals, "stale": [], "commands": []}
    run = Run(module)
    remove = module.params["state"] == "absent" or module.params["removals"] == "now"
    before = run.read()
    plan = run.plan(before, remove)
    run.judge(plan)
    changed = bool(plan.add or plan.remove or run.to_reload(plan))
    result: Dict[str, Any] = {
        "changed": changed,
        "rivals": [],
        "stale": ["%s %s" % (obj.kind, obj.text) for obj in plan.stale]
        + ["%s rule %s" % (chain, rule) for chain, rules in run.leaving.items() for rule in rules],
        "diff": diffs(run, plan, before) if changed else [],
    }
    if not module.check_mode and any(obj.kind in ("module", "link") for obj in plan.add):
        ground = [obj for obj in run.desired if obj.kind in GROUNDWORK]
        run.apply(ho.plan(ground, run.recorded, before, run.others, remove=False))
        plan = run.plan(run.read(), remove)
    run.apply(plan)
    for text in unheeded(run.files):
        module.warn(text)
    result["commands"] = run.system.commands
    return result


def argument_spec() -> Dict[str, Any]:
    def rows(**options: Any) -> Dict[str, Any]:
        return {"type": "list", "elements": "dict", "default": [], "options": options}

    def words() -> Dict[str, Any]:
        return {"type": "list", "elements": "str", "default": []}

    text = {"type": "str"}
    name = {"type": "str", "required": True}
    family = {"type": "str", "choices": ["ipv4", "ipv6"], "default": "ipv4"}
    config = {
        "modules": words(),
        "needed_modules": words(),
        "links": rows(name=name, type=text),
        "gue_ports": rows(family=family, port={"type": "int", "required": True}),
        "sysctls": rows(name=name, value=name, unless=text, optional={"type": "bool", "default": False}),
        "packets": {"type": "dict", "apply_defaults": True, "options": {chain: words() for chain in packets.CHAINS}},
        "addresses": rows(address=name, interface=name),
        "routes": {**rows(family=family, to={"type": "str", "default": "default"}, via=text, interface=text,
                          type={"type": "str", "choices": ["unicast", "local"], "default": "unicast"},
                          table={"type": "int"}),
                   "required_one_of": [["via", "interface"]]},
        "rules": {**rows(family=family, source=text, destination=text, fwmark={"type": "int"}, interface=text,
                         protocol={"type": "str", "choices": ["tcp", "udp", "sctp"]}, source_port=text,
                         table={"type": "int", "required": True}, priority={"type": "int", "required": True}),
                  "required_one_of": [["source", "fwmark", "interface"]]},
        "files": rows(path={"type": "path", "required": True}, content=name, mode={"type": "str", "default": "0644"},
                      redact=text),
        "secret_files": rows(path={"type": "path", "required": True},
                             content={"type": "str", "required": True, "no_log": True},
                             mode={"type": "str", "default": "0600"}, redact=text),
        "moving": rows(address=name, interface=name),
        "daemons": rows(unit=name, program=name, folders={"type": "list", "elements": "path", "default": []},
                        files={"type": "list", "elements": "path", "required": True},
                        judge={"type": "list", "elements": "str", "required": True}, harmless=words()),
        "masked_units": words(),
        "units": words(),
        "idle_units": words(),
    }  # fmt: skip
    return {
        "record": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "rivals": words(),
        "removals": {"type": "str", "choices": ["now", "later"], "default": "now"},
        "config": {"type": "dict", "apply_defaults": True, "options": config},
    }


def main() -> None:
    module = HostModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**execute(module))
    except (ho.RecordError, HostRefused) as error:
        module.fail_json(msg="%s: %s" % (module.params["record"], error))


if __name__ == "__main__":
    main()
