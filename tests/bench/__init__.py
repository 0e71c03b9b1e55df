# SPDX-License-Identifier: GPL-3.0-or-later
"""How quick the collection is, each figure beside the floor that nobody can beat. docs/benchmarks.md has the method."""
