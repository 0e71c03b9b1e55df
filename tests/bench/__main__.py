# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `python tests/bench` work from any directory."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.cli import main  # noqa: E402

sys.exit(main())
