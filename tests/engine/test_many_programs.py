"""Programs that are kept for a process, and dropped before Linux's limit of memory mappings."""

import gc

import pytest

import jsuper
from jsuper.engine import programs

SMALL = dict(activation="relu", sparsity=0.5, n_hidden=2, seeds=1, steps=2, batch_size=8)


@pytest.fixture
def empty(monkeypatch):
    monkeypatch.setattr(programs, "_programs", {})


def train(n_features):
    return jsuper.run(jsuper.Sweep(n_features=n_features, **SMALL), progress=False)


def kept():
    return [key.static.n_features for key in programs._programs]


@pytest.mark.slow
def test_the_programs_not_used_for_longest_are_dropped_near_the_limit(empty, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "MOST_MAPPINGS", tmp_path / "limit")
    (tmp_path / "limit").write_text("1000000\n")  # tests before this one may have left many
    first = train(3)
    for n in (4, 5, 3):
        train(n)
    assert kept() == [4, 5, 3]
    (tmp_path / "limit").write_text("100\n")
    assert programs.near_mapping_limit()
    train(6)
    assert kept() == [3, 6]
    (tmp_path / "limit").write_text("1000000\n")
    again = train(4)
    assert kept() == [3, 6, 4] and (again.status == 1).all()
    assert (train(3).W == first.W).all()


def test_a_dropped_program_gives_its_mappings_back(empty):
    train(7)
    gc.collect()  # other garbage has mappings too: it is not to be counted
    before = programs.MAPPINGS.read_bytes().count(b"\n")
    programs._programs.clear()
    gc.collect()
    after = programs.MAPPINGS.read_bytes().count(b"\n")
    assert before - after > 50  # 130 to 400, by how thoroughly it is compiled


def test_another_system_has_no_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "MAPPINGS", tmp_path / "missing")
    assert not programs.near_mapping_limit()
