# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of what we own in the IPVS table: a file that `ipvsadm -R` can load.

It holds nothing but rows, not even a comment: ipvsadm-restore stops at lines it does not know.
"""

from __future__ import annotations

import os
from typing import Optional

from ansible_collections.lvs.cluster.plugins.module_utils import files
from ansible_collections.lvs.cluster.plugins.module_utils import table as t


def read(path: str) -> Optional[str]:
    """Return the record's text, or None when there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise t.TableError("%s: is not a record of ours; move it away, or name another" % path) from None


def parse(text: Optional[str], path: str) -> t.Table:
    """Return the table in a record's text; no record means that we own nothing."""
    return t.parse_saved(text, path="%s line" % path) if text else {}


def write(path: str, text: str) -> None:
    """Replace the record in one step, readable by root alone. After a crash there is the old or the new, whole."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o755, exist_ok=True)
    files.write_atomically(path, text, 0o600)


def remove(path: str) -> None:
    """Remove the record: nothing is owned any more."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    files.sync_folder(os.path.dirname(os.path.abspath(path)))


def store(path: str, text: str) -> None:
    """Write the record, or remove it when it owns nothing."""
    if text:
        write(path, text)
    else:
        remove(path)
