# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the attributes that the modules of this collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragments for C(extends_documentation_fragment)."""

    # For modules that change something.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
    details:
      - Check mode plans as the run does and leaves out the last step. It loads no kernel module; what needs one that
        is not loaded yet is taken for empty.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: full
  platform:
    description: Target systems this runs on.
    support: full
    platforms: linux
"""

    # For modules that only read.
    READS = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
    details:
      - This module changes nothing.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: N/A
  platform:
    description: Target systems this runs on.
    support: full
    platforms: linux
"""
