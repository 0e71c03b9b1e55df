# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From (recorded, current, desired) to an ordered list of actions. Pure: reads and changes nothing."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.lvs.cluster.plugins.module_utils import table as t

Busy = FrozenSet[Tuple[t.ServiceKey, t.RealServerKey]]


class Current(NamedTuple):
    """What the kernel holds: the rows we can say, which of them have connections, and what we cannot say."""

    table: t.Table
    busy: Busy = frozenset()
    # Services that hold a real server which cannot be said: they are never deleted.
    opaque: FrozenSet[t.ServiceKey] = frozenset()
    unsupported: Tuple[Dict[str, str], ...] = ()


class Action(NamedTuple):
    """One change, by ipvsadm's letter: -A -E -D for services, -a -e -d for real servers."""

    verb: str
    service: t.Service
    real_server: Optional[t.RealServer] = None

    def command(self) -> str:
        """Return the ipvsadm command that says the same."""
        if self.real_server is None:
            return "ipvsadm " + t.service_line(self.service, self.verb)
        return "ipvsadm " + t.real_server_line(t.service_words(self.service), self.real_server, self.verb)


class Order(NamedTuple):
    """What was asked for. recorded is None when no record is kept."""

    state: str
    wishes: List[t.Wish]
    scope: Optional[t.Scope] = None
    recorded: Optional[t.Table] = None
    keep_weights: bool = False
    quiesce: bool = False


class Plan(NamedTuple):
    """What to do. All of build comes before anything of remove."""

    build: List[Action]
    remove: List[Action]
    after: t.Table
    record: Optional[t.Table]
    quiesced: List[str]
    warnings: List[str]

    @property
    def actions(self) -> List[Action]:
        """All actions in their order."""
        return self.build + self.remove

    def widened(self, recorded: t.Table) -> t.Table:
        """Return the record to keep while the actions run: whatever may be in the kernel of ours."""
        return _union(self.record or {}, recorded)


def make_plan(order: Order, current: Current) -> Plan:
    """Return the plan that turns current into what order asks for. TableError when a row makes no sense."""
    return _Planner(order, current).run()


def apply_to_table(actions: Iterable[Action], before: t.Table) -> t.Table:
    """Return what a table becomes when a kernel does actions: the model the plans are tested against."""
    table = {key: t.Entry(entry.service, dict(entry.real_servers)) for key, entry in before.items()}
    for action in actions:
        key = action.service.key
        if action.verb == "-D":
            del table[key]
        elif action.real_server is None:
            table[key] = t.Entry(action.service, table[key].real_servers if action.verb == "-E" else {})
        elif action.verb == "-d":
            del table[key].real_servers[action.real_server.key]
        else:
            table[key].real_servers[action.real_server.key] = action.real_server
    return table


def _union(first: t.Table, second: t.Table) -> t.Table:
    """Return the rows of both; where both have one, first's."""
    merged = dict(first)
    for key, entry in second.items():
        mine = merged.get(key)
        if mine is None:
            merged[key] = entry
        elif entry.real_servers.keys() - mine.real_servers.keys():
            merged[key] = t.Entry(mine.service, {**entry.real_servers, **mine.real_servers})
    return merged


class _Planner:
    """Holds the lists of one plan while they grow. Every list becomes one stretch of the final order."""

    def __init__(self, order: Order, current: Current) -> None:
        self.order = order
        self.current = current
        self.new_services: List[Action] = []
        self.new_real_servers: List[Action] = []
        self.set_real_servers: List[Action] = []
        self.set_services: List[Action] = []
        self.emptied: List[Action] = []
        self.deleted_real_servers: List[Action] = []
        self.deleted_services: List[Action] = []
        self.after = dict(current.table)
        self.record: t.Table = {}
        self.gone: Set[t.ServiceKey] = set()
        self.quiesced: List[str] = []
        self.warnings: List[str] = []

    def run(self) -> Plan:
        if self.order.state == "deleted":
            self.delete()
        else:
            for wish in self.order.wishes:
                self.want(wish)
            if self.order.state == "overridden":
                wanted = {wish.service.key for wish in self.order.wishes}
                self.leave_all(key for key in self.known_keys() if key not in wanted)
        build = self.new_services + self.new_real_servers + self.set_real_servers + self.set_services
        remove = self.emptied + self.deleted_real_servers + self.deleted_services
        record = None if self.order.recorded is None else self.full_record()
        return Plan(build, remove, self.after, record, self.quiesced, self.warnings)

    # --- rows that are wanted

    def want(self, wish: t.Wish) -> None:
        """Bring one service to what wish says."""
        key = wish.service.key
        entry = self.current.table.get(key)
        merged = self.order.state == "merged"
        base = entry.service if entry and merged else None
        service = t.check_service(t.complete_service(wish.service, base), wish.path)
        old = entry.real_servers if entry else {}
        if entry is None:
            self.new_services.append(Action("-A", service))
        elif service != entry.service:
            self.set_services.append(Action("-E", service))
        listed, noted = self.want_real_servers(wish, service, old, entry is None)
        stay = {**old, **listed}
        if not merged:
            removable = self.removable(key, old)
            for real_server_key, real_server in old.items():
                if real_server_key in removable and real_server_key not in listed:
                    self.leave(service, real_server, noted, stay)
            if self.is_recorded(key):
                ours = self.recorded_entry(key).real_servers
                noted.update({k: stay[k] for k in ours if k in stay and k not in noted})
        self.after[key] = t.Entry(service, stay)
        self.record[key] = t.Entry(service, noted)

    def want_real_servers(
        self, wish: t.Wish, service: t.Service, old: Dict[t.RealServerKey, t.RealServer], new_service: bool
    ) -> Tuple[Dict[t.RealServerKey, t.RealServer], Dict[t.RealServerKey, t.RealServer]]:
        """Return the listed real servers as they shall be in the kernel, and as they are noted in the record."""
        merged = self.order.state == "merged"
        keep = self.order.keep_weights
        adds = self.new_services if new_service else self.new_real_servers
        listed: Dict[t.RealServerKey, t.RealServer] = {}
        noted: Dict[t.RealServerKey, t.RealServer] = {}
        for index, entry in enumerate(wish.real_servers or ()):
            key = entry[:2]
            before = old.get(key)
            real_server = t.complete_real_server(entry, before if merged else None)
            t.check_real_server(service, real_server, wish.path, index)
            noted[key] = real_server
            if before is None:
                adds.append(Action("-a", service, real_server))
            else:
                if keep and real_server.weight != before.weight:
                    real_server = real_server._replace(weight=before.weight)
                if real_server != before:
                    self.set_real_servers.append(Action("-e", service, real_server))
            listed[key] = real_server
        return listed, noted

    # --- rows that leave

    def delete(self) -> None:
        """Delete what the wishes name; without any, all there is."""
        if not self.order.wishes:
            self.leave_all(self.known_keys())
            return
        for wish in self.order.wishes:
            key = wish.service.key
            if key in self.current.table and not self.may_remove(key):
                self.warn_left(self.current.table[key].service)
            elif wish.real_servers is None:
                self.leave_all([key])
            else:
                self.leave_listed(key, [entry[:2] for entry in wish.real_servers])

    def leave_listed(self, key: t.ServiceKey, listed: List[t.RealServerKey]) -> None:
        """Remove some real servers of a service, and nothing else."""
        noted = dict(self.recorded_entry(key).real_servers) if self.is_recorded(key) else {}
        entry = self.current.table.get(key)
        stay = dict(entry.real_servers) if entry else {}
        owned = self.removable(key, stay)
        for real_server_key in listed:
            if entry and real_server_key in stay and real_server_key not in owned:
                self.warnings.append(
                    "%s of %s is left alone: it is not in the record"
                    % (t.real_server_name(stay[real_server_key]), t.service_name(entry.service))
                )
                continue
            noted.pop(real_server_key, None)
            if entry and real_server_key in stay:
                self.leave(entry.service, stay[real_server_key], noted, stay)
        if entry:
            self.after[key] = t.Entry(entry.service, stay)
        if self.is_recorded(key):
            self.record[key] = t.Entry(self.recorded_entry(key).service, noted)

    def leave_all(self, keys: Iterable[t.ServiceKey]) -> None:
        """Remove whole services, as far as they are ours and in scope."""
        for key in keys:
            if not self.may_remove(key):
                continue
            entry = self.current.table.get(key)
            if entry is None:
                self.gone.add(key)
            else:
                self.leave_service(key, entry)

    def leave_service(self, key: t.ServiceKey, entry: t.Entry) -> None:
        service, old = entry
        stay = dict(old)
        noted: Dict[t.RealServerKey, t.RealServer] = {}
        owned = self.removable(key, old)
        foreign = len(owned) < len(old) or key in self.current.opaque
        waits = self.order.quiesce and any((key, real_server_key) in self.current.busy for real_server_key in owned)
        if not foreign and not waits:
            self.deleted_services.append(Action("-D", service))
            del self.after[key]
            self.gone.add(key)
            return
        for real_server_key, real_server in old.items():
            if real_server_key in owned:
                self.leave(service, real_server, noted, stay)
        self.after[key] = t.Entry(service, stay)
        if noted:
            self.record[key] = t.Entry(service, noted)
        else:
            self.gone.add(key)
        if foreign:
            self.warnings.append(
                "%s is not deleted: it holds real servers that somebody else put there" % t.service_name(service)
            )

    def leave(
        self,
        service: t.Service,
        real_server: t.RealServer,
        noted: Dict[t.RealServerKey, t.RealServer],
        stay: Dict[t.RealServerKey, t.RealServer],
    ) -> None:
        """Remove a real server; while it has connections to quiesce for, it stays with weight 0, and stays ours."""
        key = real_server.key
        if not self.order.quiesce or (service.key, key) not in self.current.busy:
            self.deleted_real_servers.append(Action("-d", service, real_server))
            del stay[key]
            return
        quiet = real_server._replace(weight=0)
        if real_server.weight != 0:
            self.emptied.append(Action("-e", service, quiet))
        self.quiesced.append("%s of %s" % (t.real_server_name(quiet), t.service_name(service)))
        noted[key] = stay[key] = quiet

    # --- who owns what

    def known_keys(self) -> List[t.ServiceKey]:
        """Return every service that is in the kernel or in the record."""
        recorded = self.order.recorded or {}
        return list(self.current.table) + [key for key in recorded if key not in self.current.table]

    def is_recorded(self, key: t.ServiceKey) -> bool:
        return self.order.recorded is not None and key in self.order.recorded

    def recorded_entry(self, key: t.ServiceKey) -> t.Entry:
        return (self.order.recorded or {})[key]

    def may_remove(self, key: t.ServiceKey) -> bool:
        """Record and scope are both limits: a row is removed when neither forbids it."""
        if self.order.recorded is not None and key not in self.order.recorded:
            return False
        return self.order.scope is None or self.order.scope.covers(key)

    def removable(self, key: t.ServiceKey, old: Dict[t.RealServerKey, t.RealServer]) -> Set[t.RealServerKey]:
        """Return which of a service's real servers may be removed."""
        if self.order.scope is not None and not self.order.scope.covers(key):
            return set()
        if self.order.recorded is None:
            return set(old)
        entry = self.order.recorded.get(key)
        return old.keys() & entry.real_servers.keys() if entry else set()

    def warn_left(self, service: t.Service) -> None:
        reason = (
            "it is not in the record"
            if not self.is_recorded(service.key) and self.order.recorded is not None
            else "it is out of scope"
        )
        self.warnings.append("%s is left alone: %s" % (t.service_name(service), reason))

    def full_record(self) -> t.Table:
        """Return what we own when all is done: what was noted, and what the record held and nobody spoke of."""
        recorded = self.order.recorded or {}
        result = {}
        for key, entry in self.record.items():
            old = recorded.get(key)
            if self.order.state == "merged" and old is not None:
                entry = t.Entry(entry.service, {**old.real_servers, **entry.real_servers})
            result[key] = entry
        for key, entry in recorded.items():
            if key not in self.record and key not in self.gone:
                result[key] = entry
        return result
