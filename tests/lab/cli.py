# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's commands."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from lab import engines, images, prepare, scenario, ssh
from lab.common import CHECKOUT, LabError, fail, locked, poll, say, state
from lab.machines import Machines, all_of_this_checkout, are_machines


def engine_up() -> engines.Engine:
    engine, why = engines.choose()
    say(f"engine: {engine.name} ({why})")
    with locked(state() / "engine.lock", "another lab command that starts the engine"):
        before = engine.generation()
        engine.up()
        if engine.generation() != before:
            forget_scenarios()
        link_collection()
    return engine


def forget_scenarios() -> None:
    """A fresh engine has no nodes, whatever files of an earlier one say."""
    for path in state().glob("*/nodes.json"):
        if not are_machines(json.loads(path.read_text())):
            shutil.rmtree(path.parent, ignore_errors=True)


def link_collection() -> None:
    """Where Ansible finds the collection in this checkout, edits included."""
    link = state() / "collections" / "ansible_collections" / "lvs" / "cluster"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or os.readlink(link) != str(CHECKOUT):
        link.unlink(missing_ok=True)
        link.symlink_to(CHECKOUT)


def nodes_of(name: str) -> list[dict[str, Any]]:
    path = state() / name / "nodes.json"
    return list(json.loads(path.read_text())) if path.exists() else []


def maker_of(nodes: list[dict[str, Any]], start: bool = False) -> Machines | engines.Engine:
    """Who makes and ends such nodes; with start, an engine that is up."""
    if are_machines(nodes):
        link_collection()
        return Machines()
    return engine_up() if start else engines.choose()[0]


def create(arguments: argparse.Namespace) -> None:
    name = arguments.scenario
    planned = scenario.plan(name, scenario.read_inventory(scenario.inventory_of(name, arguments.inventory)))
    maker = maker_of(planned, start=True)
    with alone(name):
        existing = nodes_of(name)
        if existing:
            if same_plan(existing, planned) and maker.running(name, existing):
                say(f"scenario {name} is there already: {', '.join(node['name'] for node in planned)}")
                return
            remove(name)
        where = state() / name
        with places():
            others = [node for path in state().glob("*/nodes.json") for node in json.loads(path.read_text())]
            maker.place(planned, {node["slot"] for node in others if "slot" in node})
            where.mkdir(parents=True, exist_ok=True)
            (where / "nodes.json").write_text(json.dumps(planned))
        ssh.write_config(where, {node["name"]: tuple(node["access"]) for node in planned})
        say(f"scenario {name}: creating {', '.join(node['name'] for node in planned)}")
        maker.make(name, planned)
    wait_for_ssh(name, planned)
    say(f"scenario {name} is ready")


def alone(name: str) -> contextlib.AbstractContextManager[None]:
    """One command for a scenario at a time. Others go on: machines take minutes to boot, and faults are timed."""
    return locked(state() / "locks" / name, f"another lab command for scenario {name}")


def places() -> contextlib.AbstractContextManager[None]:
    """For as long as nodes get or leave their places: who looks for a free one reads all scenarios' files."""
    return locked(state() / "places.lock", "another lab command that places nodes")


def same_plan(existing: list[dict[str, Any]], planned: list[dict[str, Any]]) -> bool:
    """Whether the nodes there are what is wanted; where they were placed does not matter."""
    return len(existing) == len(planned) and all(old == {**old, **new} for old, new in zip(existing, planned))


def wait_for_ssh(name: str, nodes: list[dict[str, Any]]) -> None:
    for node in nodes:
        poll(f"ssh to {node['name']}", 120, lambda node=node: ssh.answers(state() / name, node["name"]))


def remove(name: str) -> None:
    where, nodes = state() / name, nodes_of(name)
    ssh.hang_up(where)
    maker_of(nodes).drop(name, nodes)
    with places():
        shutil.rmtree(where, ignore_errors=True)


def destroy(arguments: argparse.Namespace) -> None:
    with alone(arguments.scenario):
        remove(arguments.scenario)
    say(f"scenario {arguments.scenario} is gone")


def wanted_of(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    name = arguments.scenario
    nodes = nodes_of(name)
    wanted = [node for node in nodes if not arguments.node or node["name"] in arguments.node]
    unknown = sorted(set(arguments.node) - {node["name"] for node in nodes})
    if not wanted or unknown:
        raise LabError(f"scenario {name} has no node {', '.join(unknown) or 'at all'}")
    return wanted


def restart(arguments: argparse.Namespace) -> None:
    name, wanted = arguments.scenario, wanted_of(arguments)
    say(f"scenario {name}: restarting {', '.join(node['name'] for node in wanted)}")
    with alone(name):
        maker_of(wanted).reboot(name, wanted)
    wait_for_ssh(name, wanted)
    say(f"scenario {name}: {', '.join(node['name'] for node in wanted)} back")


def power(arguments: argparse.Namespace) -> None:
    """Cut a node's power, or give it back."""
    name, wanted = arguments.scenario, wanted_of(arguments)
    maker = maker_of(wanted)
    if not isinstance(maker, engines.Engine):
        raise LabError(f"scenario {name}: only containers can lose their power")
    with alone(name):
        maker.power(name, wanted, on=arguments.on == "on")
    if arguments.on == "on":
        wait_for_ssh(name, wanted)


def status(arguments: argparse.Namespace) -> None:
    engine, why = engines.choose()
    print(f"engine: {engine.name} ({why}), {'up' if engine.is_up() else 'down'}")
    print(f"state:  {state()}")
    for recipe in images.RECIPES_OF[engine.name]:
        print(f"image:  {recipe.name:7} {recipe.image() if recipe.image().exists() else 'not built yet'}")
    for path in sorted(state().glob("*/nodes.json")):
        print(f"\nscenario {path.parent.name}: ssh -F {path.parent}/ssh_config NODE")
        for node in json.loads(path.read_text()):
            cards = ", ".join(f"{card['name']} {' '.join(card['addresses'])}" for card in node["interfaces"])
            print(f"  {node['name']:12} {cards}")


def ssh_to(arguments: argparse.Namespace) -> None:
    directory = state() / arguments.scenario
    if not (directory / "ssh_config").exists():
        raise LabError(f"scenario {arguments.scenario} is not running")
    command = ["ssh", "-F", str(directory / "ssh_config"), arguments.node, *arguments.command]
    os.execvp("ssh", command)


def up(arguments: argparse.Namespace) -> None:
    engine_up()


def down(arguments: argparse.Namespace) -> None:
    engine, _ = engines.choose()
    for path in state().glob("*/nodes.json"):
        ssh.hang_up(path.parent)
    engine.down()
    end_machines()
    forget_scenarios()
    say(f"engine {engine.name} is down")


def end_machines() -> None:
    for name, nodes in all_of_this_checkout():
        Machines().drop(name, nodes)
        shutil.rmtree(state() / name, ignore_errors=True)


def clean(arguments: argparse.Namespace) -> None:
    """Whichever engine was used: both are asked to drop what is ours."""
    for path in state().glob("*/ssh_config"):
        ssh.hang_up(path.parent)
    end_machines()
    engines.VirtualMachine().down()
    if (state() / "id_ed25519").exists():
        with contextlib.suppress(LabError):
            engines.Local().down()
    shutil.rmtree(state(), ignore_errors=True)
    say("everything this checkout had started is gone")
    if arguments.images:
        images.clean()
        say("the image cache is empty")


def build_images(arguments: argparse.Namespace) -> None:
    engine, _ = engines.choose()
    images.ensure((*images.RECIPES_OF[engine.name], images.MACHINE))
    say("images are ready")


def prepare_machine(arguments: argparse.Namespace) -> None:
    engine, why = engines.choose()
    say(f"engine: {engine.name} ({why})")
    prepare.packages(engine.name)


def show_state(arguments: argparse.Namespace) -> None:
    print(state())


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="lab", description="Small LVS clusters as containers on a kernel with IPVS.")
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, action: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(action=action)
        return command

    add("prepare", prepare_machine, "install the system packages the lab needs on this machine")
    add("images", build_images, "build the images that are missing or stale")
    add("up", up, "start the engine")
    add("down", down, "stop the engine and with it every scenario")
    one = add("create", create, "make the nodes of a scenario (starts the engine when needed)")
    one.add_argument("scenario")
    one.add_argument("-i", "--inventory", help="instead of molecule/SCENARIO/inventory")
    one = add("destroy", destroy, "remove the nodes of a scenario")
    one.add_argument("scenario")
    one = add("restart", restart, "shut nodes down in order and boot them again, disks kept")
    one.add_argument("scenario")
    one.add_argument("node", nargs="*", help="default: all")
    one = add("power", power, "cut the power of nodes at once, or give it back; disks kept")
    one.add_argument("on", choices=["off", "on"])
    one.add_argument("scenario")
    one.add_argument("node", nargs="+")
    add("status", status, "what runs, and how to reach it")
    one = add("ssh", ssh_to, "a shell or a command on a node")
    one.add_argument("scenario")
    one.add_argument("node")
    one.add_argument("command", nargs=argparse.REMAINDER)
    one = add("clean", clean, "remove everything this checkout started, and its state")
    one.add_argument("--images", action="store_true", help="also empty the image cache that checkouts share")
    add("state", show_state, "print the directory that holds this checkout's state")
    return result


def main() -> int:
    arguments = parser().parse_args()
    try:
        arguments.action(arguments)
    except LabError as error:
        return fail(error)
    except KeyboardInterrupt:
        return fail(LabError("interrupted; 'python tests/lab clean' removes what was started"))
    except subprocess.TimeoutExpired as error:
        return fail(LabError(str(error)))
    return 0
