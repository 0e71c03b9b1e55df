# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the scenarios' inventories into the pages of docs/topologies, so that what a reader sees is what runs.

Below a comment such as <!-- molecule/nat/inventory/hosts.yml --> stands that file, whole, in a block of yaml. Without
arguments every block is written anew from its file; a comment alone gets its block. With --check nothing is written:
stale pages are named, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = "docs/topologies"
BLOCK = re.compile(r"^<!-- (molecule/\S+) -->\n(?:```yaml\n(?:(?!```).*\n)*```\n)?", re.MULTILINE)


def refreshed(text: str, root: Path = ROOT) -> str:
    """A page's text with each block as its file is now; a comment that names no file raises FileNotFoundError."""

    def block(found: re.Match[str]) -> str:
        content = (root / found[1]).read_text(encoding="utf-8").rstrip("\n")
        return f"<!-- {found[1]} -->\n```yaml\n{content}\n```\n"

    return BLOCK.sub(block, text)


def stale(root: Path = ROOT) -> dict[Path, str]:
    """The pages that differ from the files they show, each with the text it should have."""
    pages = {page: page.read_text(encoding="utf-8") for page in sorted((root / PAGES).glob("*.md"))}
    wanted = {page: refreshed(text, root) for page, text in pages.items()}
    return {page: wanted[page] for page in pages if wanted[page] != pages[page]}


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description="Copy the scenarios' inventories into docs/topologies.")
    parser.add_argument("--check", action="store_true", help="write nothing; name stale pages and exit with 1")
    check = parser.parse_args(arguments).check
    found = stale(root)
    for page, text in found.items():
        if not check:
            page.write_text(text, encoding="utf-8")
        print(f"{page.relative_to(root)}: {'stale' if check else 'refreshed'}")
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main())
