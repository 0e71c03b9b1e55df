# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: small LVS clusters as containers on a kernel that has IPVS."""
