"""Spare links: nothing stays missing, the same bytes keep their date, new results stay new."""

import os

import pytest

from flexbench import spares


@pytest.fixture
def folder(tmp_path):
    for name in ("gone", "replaced", "remade", "kept"):
        path = tmp_path / "data" / "sub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"old {name}")
        os.utime(path, ns=(10**18, 10**18))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "training").write_text("somebody else's")
    spares.lay(tmp_path, [tmp_path / "data"])
    return tmp_path


def replace(path, text):
    path.unlink()
    path.write_text(text)


def test_what_another_tool_took_away_comes_back(folder):
    inside = folder / "data" / "sub"
    (inside / "gone").unlink()
    replace(inside / "replaced", "old replaced")
    replace(inside / "remade", "new remade!!")
    spares.put_back(folder)
    texts = {path.name: path.read_text() for path in inside.iterdir()}
    assert texts == {
        "gone": "old gone",
        "replaced": "old replaced",
        "remade": "new remade!!",
        "kept": "old kept",
    }
    dated = {path.name for path in inside.iterdir() if path.stat().st_mtime_ns == 10**18}
    assert dated == {"gone", "replaced", "kept"}
    assert [path.name for path in (folder / "state").iterdir()] == ["training"]


def test_spares_cost_no_bytes(folder):
    spare = folder / "state" / "spares" / "data" / "sub" / "kept"
    assert spare.samefile(folder / "data" / "sub" / "kept")


def test_half_laid_spares_count_for_nothing(folder):
    """Killed while they were laid: nothing had been taken away by then."""
    place = folder / "state" / "spares"
    place.rename(place.with_name("spares.growing"))
    (folder / "data" / "sub" / "gone").unlink()
    spares.put_back(folder)
    assert not (folder / "data" / "sub" / "gone").exists()
    spares.lay(folder, [folder / "data"])
    assert not (place / "data" / "sub" / "gone").exists()
    assert (place / "data" / "sub" / "kept").exists()


def test_without_spares_nothing_happens(tmp_path):
    spares.put_back(tmp_path)
    assert not list(tmp_path.iterdir())
