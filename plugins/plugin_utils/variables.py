# SPDX-License-Identifier: GPL-3.0-or-later
"""Read ``lvs_*`` variables of every inventory host out of a running playbook, as plain Python values.

The only door between Ansible and the model. It has to be cheap: lvs_services may hold thousands of real servers, two
hundred hosts may see it, and templating it for each of them would take minutes. So a value is read once for all hosts
that inherit the same object from the inventory, and again only where a variable that its templates mention differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.errors import AnsibleError
from ansible.template import Templar
from ansible_collections.lvs.cluster.plugins.plugin_utils.members import GROUP_NAMES, find_members
from ansible_collections.lvs.cluster.plugins.plugin_utils.problems import InventoryError, Problems
from ansible_collections.lvs.cluster.plugins.plugin_utils.schema import NAMES
from ansible_collections.lvs.cluster.plugins.plugin_utils.sysctl_names import unknown
from jinja2 import Environment, TemplateError, meta

PREFIX = "lvs_"
SYSCTLS = ("director_sysctls", "ldirectord_sysctls", "realserver_sysctls", "syncd_sysctls")
"""The roles' own variables that name sysctls. The roles judge them too; here it is before any host is touched."""

MARKS = ("{{", "{%", "{#")
ANY_VARIABLE = frozenset({"lookup", "query", "q", "vars"})
"""What a template can reach any variable by, without naming it."""

MEND_UNREADABLE = "correct the value, or define what it needs, in the inventory"
MEND_ELSEWHERE = "set it in the inventory (group_vars or host_vars) or with --extra-vars"


def plain(value: Any, omit: Any = None) -> Any:
    """Return the value in exact Python types, decrypted; what was omitted is left out.

    ansible-core 2.19 hands out lazy containers and tagged scalars, older ones strings that forbid templating: none of
    them should leave this module.
    """
    kind = type(value)
    if value is None or kind in (str, int, bool, float):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        pairs = ((plain(key, omit), plain(item, omit)) for key, item in value.items() if not _is_omitted(item, omit))
        return dict(pairs)
    if isinstance(value, Sequence) and not hasattr(value, "__ENCRYPTED__"):
        return [plain(item, omit) for item in value if not _is_omitted(item, omit)]
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    return str(value)


def _is_omitted(value: Any, omit: Any) -> bool:
    return omit is not None and (value is omit or (isinstance(value, str) and value == omit))


def templates_in(value: Any) -> Iterator[str]:
    """Yield every string in the value that may be a template."""
    if isinstance(value, str):
        if any(mark in value for mark in MARKS):
            yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from templates_in(key)
            yield from templates_in(item)
    elif isinstance(value, Sequence) and not hasattr(value, "__ENCRYPTED__"):
        for item in value:
            yield from templates_in(item)


def names_in(templates: Sequence[str]) -> frozenset[str] | None:
    """Return the variables that templates mention, or None when that cannot be told."""
    environment = Environment()
    names: set[str] = set()
    try:
        for template in set(templates):
            if template.startswith("#jinja2:"):
                return None
            names |= meta.find_undeclared_variables(environment.parse(template))
    except TemplateError:
        return None
    return None if names & ANY_VARIABLE else frozenset(names)


@dataclass
class Source:
    """One object of the inventory, and what became of it for the hosts that see it."""

    raw: Any
    """Kept so that the object lives and its id stays its own."""
    templated: bool
    names: frozenset[str] | None
    results: list[tuple[Mapping[str, Any] | None, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """Stands for a value that cannot be read."""

    why: str


class Inventory:
    """The inventory's ``lvs_*`` variables: of all hosts, whatever --limit says."""

    def __init__(self, task_vars: Mapping[str, Any], loader: Any) -> None:
        self._task_vars = task_vars
        self._hostvars = task_vars["hostvars"]
        self._loader = loader
        self._sources: dict[int, Source] = {}
        self._templates: dict[int, tuple[Any, frozenset[str] | None]] = {}
        self._problems = Problems()
        self._sysctls: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, list[str]] = {
            str(name): [str(host) for host in hosts] for name, hosts in task_vars["groups"].items()
        }

    def read(self) -> dict[str, dict[str, Any]]:
        """Return {host: {lvs_ variable: value}}. Only members' variables are templated: others' are nobody's business.

        Names the schema does not know stay, so that the model can refuse them; their values are not looked at.
        """
        raw = {str(host): self._own(host) for host in self._hostvars}
        self._check_play(raw)
        pairs = {host: self._read_some(host, own, GROUP_NAMES) for host, own in raw.items()}
        self._raise_problems()
        members = {host for cluster in find_members(pairs, self.groups) for host in cluster.hosts}
        read = {
            host: {**self._read_some(host, own, NAMES), **{name: None for name in own if name not in NAMES}}
            if host in members
            else pairs[host]
            for host, own in raw.items()
        }
        for host in sorted(members):
            self._check_sysctls(host)
        self._raise_problems()
        return read

    def _own(self, host: str) -> dict[str, Any]:
        variables = self._hostvars.raw_get(host)
        self._sysctls[host] = {name: variables[name] for name in SYSCTLS if variables.get(name)}
        return {name: value for name, value in variables.items() if str(name).startswith(PREFIX)}

    def _check_sysctls(self, host: str) -> None:
        """Report sysctls of IPVS that no kernel has. What can't be read now may be set when the role runs."""
        variables = _Lazy(lambda: {**self._hostvars.raw_get(host), "hostvars": self._hostvars})
        for variable, raw in self._sysctls[host].items():
            value = self._read(raw, variables)
            for name, wrong, mend in unknown(value) if isinstance(value, Mapping) else ():
                self._problems.add_for(host, f"{variable}.{name}", wrong, mend)

    def _check_play(self, raw: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse variables of the play, a role or the task: they would hold for the host that runs this task alone."""
        here = str(self._task_vars["inventory_hostname"])
        own = raw.get(here, {})
        for name, value in self._task_vars.items():
            if str(name).startswith(PREFIX) and (name not in own or (own[name] is not value and own[name] != value)):
                self._problems.add(
                    name, "is set by the play, a role or a task, which other hosts do not see", MEND_ELSEWHERE
                )

    def _raise_problems(self) -> None:
        if self._problems:
            raise InventoryError(self._problems.lines())

    def _read_some(self, host: str, own: Mapping[str, Any], names: Any) -> dict[str, Any]:
        read: dict[str, Any] = {}
        variables = _Lazy(lambda: {**self._hostvars.raw_get(host), "hostvars": self._hostvars})
        for name, raw in own.items():
            if name not in names:
                continue
            value = self._read(raw, variables)
            if isinstance(value, Failure):
                self._problems.add_for(host, name, f"cannot be read: {value.why}", MEND_UNREADABLE)
            elif value is not None:
                read[name] = value
        return read

    def _read(self, raw: Any, variables: _Lazy) -> Any:
        source = self._source(raw)
        seen = self._dependencies(source, variables) if source.templated else {}
        for known, value in source.results:
            if seen is not None and known == seen:
                return value
        value = self._evaluate(source, variables)
        source.results.append((seen, value))
        return value

    def _source(self, raw: Any) -> Source:
        source = self._sources.get(id(raw))
        if source is None:
            templates = list(templates_in(raw))
            source = Source(raw, bool(templates), names_in(templates) if templates else frozenset())
            self._sources[id(raw)] = source
        return source

    def _dependencies(self, source: Source, variables: _Lazy) -> Mapping[str, Any] | None:
        """Return the raw values of all variables the source's templates reach, or None when that cannot be told."""
        found: dict[str, Any] = {}
        open_names = source.names
        while open_names:
            reached: frozenset[str] = frozenset()
            for name in open_names:
                found[name] = variables.get().get(name)
                deeper = self._source(found[name]).names
                if deeper is None:
                    return None
                reached |= deeper
            open_names = reached - found.keys()
        return None if open_names is None else found

    def _evaluate(self, source: Source, variables: _Lazy) -> Any:
        try:
            if not source.templated:
                return plain(source.raw)
            values = variables.get()
            templar = Templar(loader=self._loader, variables=values)
            return plain(templar.template(source.raw), values.get("omit"))
        except (AnsibleError, TemplateError) as error:
            return Failure(" ".join(str(error).split()))


class _Lazy:
    """All variables of one host, fetched when the first template needs them."""

    def __init__(self, fetch: Callable[[], dict[str, Any]]) -> None:
        self._fetch = fetch
        self._values: dict[str, Any] | None = None

    def get(self) -> dict[str, Any]:
        if self._values is None:
            self._values = self._fetch()
        return self._values
