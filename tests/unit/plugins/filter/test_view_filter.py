# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.lvs.cluster.plugins.filter.view import FilterModule

MODEL = {"changed": False, "clusters": {}}


def test_it_looks_a_host_up():
    assert FilterModule().filters()["view"](MODEL, "host1")["cluster"] is None


@pytest.mark.parametrize("wrong", [None, "text", {}, {"skipped": True}])
def test_it_says_what_its_input_should_be(wrong):
    with pytest.raises(AnsibleFilterError, match=r"the registered result of lvs\.cluster\.model"):
        FilterModule().filters()["view"](wrong, "host1")
