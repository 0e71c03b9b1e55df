# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""Daemons whose files are judged by themselves before they land, and that reload when they have changed.

The judge reads candidates: copies in a folder of their own, which name each other by where they are. What it says is
given back in the names that the files will have, without a line of what is secret.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from ansible_collections.lvs.cluster.plugins.module_utils.host_system import File

HIDDEN = "(a line of a secret file)"


class Daemon(NamedTuple):
    """A unit, its program, the files it reads (the main one first), their judge, what that says that is harmless.

    Folders are those in which the program may be, beside PATH.
    """

    unit: str
    program: str
    files: List[str]
    judge: List[str]
    harmless: List[str]
    folders: List[str] = []

    @classmethod
    def of(cls, row: Dict[str, Any]) -> Daemon:
        return cls(row["unit"], row["program"], row["files"], row["judge"], row["harmless"], row["folders"])

    def command(self, program: str) -> List[str]:
        """The judge's command, where the program is at this path."""
        return [word.replace("{program}", program) for word in self.judge]


def candidates(daemon: Daemon, files: Dict[str, File], folder: str) -> Dict[str, str]:
    """The candidates' contents by their paths in the folder."""
    places = places_of(daemon, files, folder)
    found = {}
    for path, place in places.items():
        content = files[path].content
        for other, elsewhere in places.items():
            content = content.replace(other, elsewhere)
        found[place] = content
    return found


def places_of(daemon: Daemon, files: Dict[str, File], folder: str) -> Dict[str, str]:
    """Where the candidate of each file is."""
    return {path: os.path.join(folder, os.path.basename(path)) for path in daemon.files if path in files}


def verdict(daemon: Daemon, status: int, words: str, places: Dict[str, str], secrets: Iterable[str]) -> Optional[str]:
    """Why the candidates are refused, or None.

    Older versions exit with 0 after most mistakes, and newer ones not with 0 after a remark; but all say what they
    mean, and say nothing about a file without mistakes.
    """
    lines = list(dict.fromkeys(line.strip() for line in words.splitlines() if line.strip()))
    left = [line for line in lines if not any(re.search(pattern, line) for pattern in daemon.harmless)]
    if not left and (status == 0 or (lines and status > 0)):
        return None
    for path, place in places.items():
        left = [line.replace(place, path) for line in left]
    for secret in secrets:
        for line in secret.splitlines():
            if len(line.split()) > 1 and not line.startswith("#"):
                left = [text.replace(line.strip(), HIDDEN) for text in left]
    if status < 0:
        left.append("the judge was killed by signal %d" % -status)
    return "\n".join(left) or "exit status %d without a word" % status
