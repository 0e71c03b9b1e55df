# SPDX-License-Identifier: GPL-3.0-or-later
"""The record: whole or not there, readable by its owner alone, and no longer than what is owned."""

from __future__ import annotations

import os

import pytest
from ansible_collections.lvs.cluster.plugins.module_utils import record
from ansible_collections.lvs.cluster.plugins.module_utils import table as t

TEXT = "-A -f 4155573216 -s rr\n-a -f 4155573216 -r 198.51.100.1:0 -m -w 1 -x 9 -y 4\n"


def test_there_may_be_none(tmp_path):
    path = str(tmp_path / "table.ipvs")
    assert record.read(path) is None
    assert record.parse(None, path) == {}
    record.remove(path)


def test_it_is_written_and_read(tmp_path):
    path = tmp_path / "lvs" / "table.ipvs"
    record.write(str(path), TEXT)
    assert path.stat().st_mode & 0o777 == 0o600
    assert record.read(str(path)) == TEXT
    assert t.render(record.parse(TEXT, str(path))) == TEXT
    assert os.listdir(path.parent) == ["table.ipvs"]


def test_a_record_that_owns_nothing_is_removed(tmp_path):
    path = tmp_path / "table.ipvs"
    record.store(str(path), TEXT)
    assert path.exists()
    record.store(str(path), "")
    assert not path.exists()


def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "table.ipvs"
    record.write(str(path), TEXT)

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        record.write(str(path), "-A -f 1 -s rr\n")
    assert path.read_text() == TEXT
    assert os.listdir(tmp_path) == ["table.ipvs"]


def test_a_record_that_is_none_is_named(tmp_path):
    path = tmp_path / "table.ipvs"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(t.TableError, match="table.ipvs: is not a record of ours"):
        record.read(str(path))
    with pytest.raises(t.TableError, match="table.ipvs line 1: 'hello' is out of place"):
        record.parse("hello\n", str(path))
