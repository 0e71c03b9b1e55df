# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the lvs.cluster authors
"""The filter view: what one host is in its cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.lvs.cluster.plugins.plugin_utils.view import view


def _view(model: Any, host: str) -> dict[str, Any]:
    if not isinstance(model, Mapping) or "clusters" not in model:
        raise AnsibleFilterError("lvs.cluster.view: the input is not the registered result of lvs.cluster.model")
    return view(model, host)


class FilterModule:
    """The filter's registration."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"view": _view}
