# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible_collections.lvs.cluster.plugins.plugin_utils import schema
from ansible_collections.lvs.cluster.plugins.plugin_utils.model import build
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema_docs import EXAMPLE, render

CHECKOUT = Path(__file__).resolve().parents[4]


def test_the_page_is_what_the_schema_says():
    page = CHECKOUT / "docs" / "reference" / "variables.md"
    assert page.read_text() == render(), (
        "print it again: python -m ansible_collections.lvs.cluster.plugins.plugin_utils.schema_docs"
        " > docs/reference/variables.md"
    )


def test_it_names_every_variable_and_key():
    headings = re.findall(r"^### `(.*)`$", render(), re.MULTILINE)
    of_services = (schema.SERVICE, schema.REAL_SERVER, schema.PERSISTENCE, schema.TUNNEL, schema.CHECK, schema.FALLBACK)
    of_tracks = (schema.TRACK_INTERFACE, schema.TRACK_SCRIPT, schema.TRACK_PROCESS, schema.TRACK_FILE)
    of_vrrp = (schema.VRRP, *of_tracks, schema.GARP, schema.NOTIFY, schema.INSTANCE)
    of_heartbeat = (schema.HEARTBEAT, schema.MEDIUM, schema.PING_GROUP)
    of_engines = (schema.KEEPALIVED, schema.LDIRECTORD, schema.MAILING, *of_heartbeat)
    sections = (*of_services, *of_vrrp, *of_engines, schema.MASQUERADE, schema.SYNC, schema.TIMEOUTS)
    fields = [*schema.VARIABLES, *(field for section in sections for field in section.fields)]
    assert sorted(headings) == sorted(field.name for field in fields)


def test_its_links_lead_somewhere():
    page = render()
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.*)$", page, re.MULTILINE)}
    links = set(re.findall(r"\]\(#(.*?)\)", page))
    assert links and links <= anchors


def test_its_example_works():
    (group,) = yaml.safe_load(EXAMPLE.partition("```yaml")[2].partition("```")[0]).values()
    hosts = {child: list(rest["hosts"]) for child, rest in group["children"].items()}
    hostvars = {
        host: {**group["vars"], **own} for rest in group["children"].values() for host, own in rest["hosts"].items()
    }
    (cluster,) = build(hostvars, hosts)["clusters"].values()
    assert [service["name"] for service in cluster["services"]] == [
        "web-ipv4-80",
        "web-ipv4-443",
        "web-ipv6-80",
        "web-ipv6-443",
        "dns",
    ]
