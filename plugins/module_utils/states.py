# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the states of the ipvs module do, between its parameters and its result."""

from __future__ import annotations

import errno
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ansible_collections.lvs.cluster.plugins.module_utils import kernel, kernel_modules, record
from ansible_collections.lvs.cluster.plugins.module_utils import plan as p
from ansible_collections.lvs.cluster.plugins.module_utils import table as t

Result = Dict[str, Any]

# How many rows an answer holds at most: a larger one costs more than the work.
LIMIT = 1000


def run(module: Any) -> Result:
    """Do what the parameters ask; return the result."""
    state = module.params["state"]
    if state in ("rendered", "parsed", "gathered"):
        return convert(module, state)
    return change(module)


def convert(module: Any, state: str) -> Result:
    """The states that change nothing."""
    if state == "parsed":
        table = t.parse_saved(module.params["running_config"], t.resolve_host, "running_config line")
        return {"changed": False, "parsed": rows(table.values())}
    if state == "rendered":
        table = t.complete_table(t.parse_config(module.params["config"]))
        for problem in t.restore_problems(table):
            module.warn(problem)
        return {"changed": False, "rendered": t.render(table)}
    current = read_kernel()[1]
    result = {"changed": False, "gathered": rows(current.table.values())}
    if current.unsupported:
        result["unsupported"] = list(current.unsupported)
    return result


def rows(entries: Iterable[t.Entry]) -> List[Dict[str, Any]]:
    """Return entries as rows of config."""
    return [t.to_config(entry) for entry in entries]


def read_kernel() -> Tuple[Optional[kernel.Ipvs], p.Current]:
    """Return (connection, table); no connection and an empty table where IPVS is not loaded. Loads nothing."""
    ipvs = kernel.connect()
    return ipvs, ipvs.read() if ipvs else p.Current({})


class Book(NamedTuple):
    """The record before and after: path is None when none is kept."""

    path: Optional[str]
    table: t.Table
    text: str
    new_text: str

    @property
    def changes(self) -> bool:
        """Tell whether the record becomes another."""
        return self.path is not None and self.text != self.new_text


def change(module: Any) -> Result:
    """The states that change the kernel's table."""
    params = module.params
    wishes = t.parse_config(params["config"] or [])
    scope = t.parse_scope(params["scope"])
    path = params["record"]
    if params["state"] == "deleted" and not wishes and scope is None and not path:
        raise t.TableError("state deleted without config needs scope or record, to say what may be removed")
    text = (record.read(path) or "") if path else ""
    recorded = record.parse(text, path) if path else None
    order = p.Order(
        state=params["state"],
        wishes=wishes,
        scope=scope,
        recorded=recorded,
        keep_weights=params["weights"] == "keep",
        quiesce=params["removed"] == "quiesce",
    )
    ipvs, current = read_kernel()
    plan = p.make_plan(order, current)
    refuse_unknown(plan)
    book = Book(path, recorded or {}, text, t.render(plan.record or {}))
    if not module.check_mode:
        apply(ipvs, plan, book)
    return answer(module, plan, current, book)


def refuse_unknown(plan: p.Plan) -> None:
    """Refuse what the kernel has no module for before anything is changed, and in check mode."""
    wanted = {
        name: action
        for action in plan.build
        if action.real_server is None
        for name in kernel_modules.of_service(action.service.scheduler, action.service.engine)
    }
    for name in kernel_modules.lacking(wanted):
        raise kernel.Refused(wanted[name], errno.ENOENT, [])


def apply(ipvs: Optional[kernel.Ipvs], plan: p.Plan, book: Book) -> None:
    """Change the kernel between two versions of the record: what may be ours, and what is."""
    written = book.text
    if plan.actions:
        ipvs = ipvs or kernel.load()
        if book.path:
            wide = t.render(plan.widened(book.table))
            if wide != written:
                record.write(book.path, wide)
                written = wide
        ipvs.apply(plan.build, plan.remove)
    if book.path and book.new_text != written:
        record.store(book.path, book.new_text)


def answer(module: Any, plan: p.Plan, current: p.Current, book: Book) -> Result:
    """Say what was done, or would be."""
    actions = plan.actions
    result: Result = {
        "changed": bool(actions) or book.changes,
        "commands": [action.command() for action in actions[:LIMIT]],
    }
    if len(actions) > LIMIT:
        result["omitted"] = len(actions) - LIMIT
    if current.unsupported:
        result["unsupported"] = list(current.unsupported)
    if plan.quiesced:
        result["quiesced"] = plan.quiesced
    before, after = touched(actions, current.table), touched(actions, plan.after)
    if actions:
        result.update(before=rows(before), after=rows(after))
    if module._diff and result["changed"]:
        result["diff"] = differences(before, after, book)
    warn(module, plan, book)
    return result


def warn(module: Any, plan: p.Plan, book: Book) -> None:
    """Warn of what was left alone, and of what ipvsadm will not load from the record."""
    for warning in plan.warnings:
        module.warn(warning)
    if book.changes:
        for problem in t.restore_problems(plan.record or {}):
            module.warn("The record %s: %s" % (book.path, problem))


def differences(before: List[t.Entry], after: List[t.Entry], book: Book) -> List[Dict[str, str]]:
    """Return what changes in the kernel and in the record, in ipvsadm's words."""
    parts = []
    if before or after:
        parts.append(difference("IPVS table", lines(before), lines(after)))
    if book.changes:
        parts.append(difference(str(book.path), book.text, book.new_text))
    return parts


def touched(actions: List[p.Action], table: t.Table) -> List[t.Entry]:
    """Return the entries of table that actions speak of, up to the limit."""
    entries: List[t.Entry] = []
    count = 0
    for key in dict.fromkeys(action.service.key for action in actions):
        entry = table.get(key)
        if entry is not None:
            count += 1 + len(entry.real_servers)
            if count > LIMIT and entries:
                break
            entries.append(entry)
    return entries


def lines(entries: List[t.Entry]) -> str:
    """Return entries as ipvsadm's lines, real servers in a fixed order so that only what differs shows."""
    ordered = [t.Entry(entry.service, dict(sorted(entry.real_servers.items()))) for entry in entries]
    return t.render({entry.service.key: entry for entry in ordered})


def difference(name: str, before: str, after: str) -> Dict[str, str]:
    """Return one part of a diff, capped."""
    return {"before_header": name, "after_header": name, "before": capped(before), "after": capped(after)}


def capped(text: str) -> str:
    """Return at most the limit of text's lines."""
    parts = text.splitlines(True)
    if len(parts) <= LIMIT:
        return text
    return "".join(parts[:LIMIT]) + "# and %d more\n" % (len(parts) - LIMIT)


def failure(error: Exception) -> Optional[Result]:
    """Return the result of an error that has something to say, or None for one that is a bug."""
    if isinstance(error, kernel.Refused):
        done = [action.command() for action in error.applied]
        text = "%s. Beside it %d commands were done; run again when the cause is mended." % (error, len(done))
        return {"msg": text, "errno": error.code, "applied": done[:LIMIT]}
    if isinstance(error, (t.TableError, kernel.KernelError, OSError)):
        return {"msg": str(error)}
    return None
