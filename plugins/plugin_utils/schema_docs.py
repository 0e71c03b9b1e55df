# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference page of the inventory's variables, printed from the schema that validates them.

python -m ansible_collections.lvs.cluster.plugins.plugin_utils.schema_docs > docs/reference/variables.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import Any

from ansible_collections.lvs.cluster.plugins.plugin_utils import schema
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import Field, ListOf, Section, Word

INTRODUCTION = """\
<!-- Printed by plugins/plugin_utils/schema_docs.py from the schema that validates these variables. -->
# Variables

The inventory says in these variables what the cluster is; the roles' own few variables are in `ansible-doc -t role`.
All names that start with `lvs_` belong to the collection: on a host of a cluster an unknown one is refused, with the
nearest valid name.

- **Where.** In the inventory or in `--extra-vars`. Variables of a play, a role or a task are refused, because every
  host has to see those of all others, whatever `--limit` says.
- **Clusters.** Hosts that see the same pair of groups (`lvs_director_group`, `lvs_realserver_group`) and are in one
  of them are a cluster. All of them must see the same values of the cluster's variables: put them into `group_vars`
  of a group that holds directors and real servers.
- **Templates** may be used everywhere. A template in `lvs_services` that comes out differently on two hosts of a
  cluster is refused like any other difference.
- **Null** is the same as leaving a key out.
- **Mistakes** are all reported at once, before any host is changed, each with its place and how to mend it:
  `lvs_services[2] (web).real_servers[0].wieght: no such key; did you mean weight?`
"""

EXAMPLE = """\
## Example

```yaml
# hosts.yml
lvs:
  vars:
    lvs_services:
      - name: web
        vip: [192.0.2.10/24, 2001:db8::10]
        ports: [80, 443]
        forward: dr
        persistence: 300
      - name: dns
        vip: 192.0.2.10
        port: 53
        protocol: udp
        forward: nat
        real_servers:
          - {host: rs1, weight: 2, port: 5353}
          - {address: 198.51.100.7}
  children:
    directors:
      hosts:
        director1: {lvs_address: [192.0.2.1, "2001:db8::1"], lvs_interface: eth0}
    realservers:
      hosts:
        rs1: {lvs_address: [192.0.2.11, "2001:db8::11"]}
        rs2: {lvs_address: [192.0.2.12, "2001:db8::12"], lvs_weight: 0}  # in maintenance
```
"""


def render() -> str:
    """Return the whole page."""
    parts = [
        INTRODUCTION,
        "## Variables of the cluster\n",
        *_fields(schema.CLUSTER_VARIABLES, "###"),
        "## Variables of a host\n",
        *_fields(schema.HOST_VARIABLES, "###"),
        *_sections(),
        EXAMPLE,
    ]
    return "\n".join(parts)


def _sections() -> Iterator[str]:
    for section in _inner(schema.VARIABLES):
        yield f"## Keys of a {section.name}\n"
        if section.bare:
            yield f"A bare value in its place is its `{section.bare}`.\n"
        yield from _fields(section.fields, "###")


def _inner(fields: Sequence[Field]) -> Iterator[Section]:
    """Yield every section below the fields, the outer before the inner."""
    sections = [section for field in fields if (section := _section(field.kind))]
    for section in sections:
        yield section
        yield from _inner(section.fields)


def _section(kind: Any) -> Section | None:
    kind = kind.of if isinstance(kind, ListOf) else kind
    return kind if isinstance(kind, Section) else None


def _fields(fields: Sequence[Field], mark: str) -> Iterator[str]:
    for field in fields:
        yield f"{mark} `{field.name}`\n"
        yield fill(field.description, 120) + "\n"
        yield "\n".join([*_properties(field), ""])


def _properties(field: Field) -> Iterator[str]:
    yield f"- Type: {_type(field.kind)}"
    yield f"- Default: {_default(field)}"
    if field.source:
        yield f"- See: {field.source}"
    yield f"- Since: {field.since}"
    word = field.kind.of if isinstance(field.kind, ListOf) else field.kind
    if isinstance(word, Word):
        yield "- Choices:"
        for choice in word.choices:
            yield f"  - `{choice.name}`: {choice.meaning}"


def _type(kind: Any) -> str:
    section = _section(kind)
    if section:
        keys = f"[keys of a {section.name}](#keys-of-a-{section.name.lower().replace(' ', '-')})"
        return f"list of mappings, {keys}" if isinstance(kind, ListOf) else f"{kind.words()}, {keys}"
    if isinstance(kind, ListOf) and isinstance(kind.of, Word):
        return "one of the choices, or a list of them" if kind.single else "list of choices"
    return "one of the choices" if isinstance(kind, Word) else str(kind.words())


def _default(field: Field) -> str:
    if field.default is schema.REQUIRED:
        return f"none, it is required ({field.default_words})" if field.default_words else "none, it is required"
    if field.default_words:
        return field.default_words
    value = field.default
    return "not set" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    sys.stdout.write(render())
