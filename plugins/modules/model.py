#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of the action plugin of the same name: nothing here runs on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model
short_description: Read the inventory's LVS clusters, or refuse it with every problem
version_added: "0.1.0"
author: The lvs.cluster authors (@lvs-cluster)
description:
  - Reads the C(lvs_*) variables of all hosts of the inventory, checks and completes them and returns what they mean.
  - A bad inventory fails here, before any host is changed. The message lists every problem, each with its place and
    how to mend it.
  - Run it once a play, with C(run_once), register the result and ask P(lvs.cluster.view#filter) what one host is.
  - The variables have to be in the inventory or in extra variables. All hosts are read whatever C(--limit) says, so
    variables of a play, a role or a task are refused - other hosts would not see them.
  - The variables are described in the collection's variable reference, C(docs/reference/variables.md).
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return what it would return without.
    support: full
  diff_mode:
    description: Shows what changed, in diff mode.
    support: none
    details: Nothing changes.
  idempotent:
    description: A second run changes nothing.
    support: full
  action:
    description: Has an action plugin, so part of it runs on the controller.
    support: full
    details: All of it runs on the controller. No host is connected to.
seealso:
  - plugin: lvs.cluster.view
    plugin_type: filter
  - module: lvs.cluster.ipvs
"""

EXAMPLES = r"""
- name: Read the inventory, once for all hosts
  lvs.cluster.model:
  register: __lvs_cluster
  run_once: true

- name: Say what this host is
  ansible.builtin.debug:
    msg: "{{ __lvs_cluster | lvs.cluster.view(inventory_hostname) }}"
"""

RETURN = r"""
clusters:
  description:
    - Each cluster by its name, which is that of its two groups.
    - What grows with services or hosts is text, because Ansible spends time on every single value of a result, for
      every host. P(lvs.cluster.view#filter) opens it. C(services), C(table) and C(vips) are JSON; C(directors) and
      C(realservers) are lines of a host's name and its JSON record.
  returned: success
  type: dict
  sample:
    directors/realservers:
      name: directors/realservers
      health: none
      failover: none
      removed: delete
      forwards: {ipv4: [dr], ipv6: []}
      gateways: {ipv4: 10.0.0.1, ipv6: null}
      vips: '[{"address":"192.0.2.10","prefix":32,"family":"ipv4"}]'
      services: '[{"name":"web","path":"lvs_services[0] (web)","family":"ipv4","vip":"192.0.2.10","prefix":32,...}]'
      table: '[{"address":"192.0.2.10","port":80,"protocol":"tcp","scheduler":"wlc","real_servers":[...],...}]'
      directors: '"director1" {"ipv4":"10.0.0.1","ipv6":null,"interface":"eth0"}'
      realservers: '"rs1" {"ipv4":"10.0.0.11","ipv6":null,"interface":null,"weight":null,"duties":{...}}'
problems:
  description: What is wrong with the inventory, each in one line with its place and how to mend it.
  returned: failure
  type: list
  elements: str
  sample:
    - "lvs_services[2] (web).real_servers[0].wieght: no such key; did you mean weight?"
"""
