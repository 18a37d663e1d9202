"""Files appear whole or not at all."""

import subprocess
import sys

import pytest

from flexbench.atomic import write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    code = (
        "import os, pathlib, sys\n"
        "from flexbench.atomic import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "a.txt"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    assert not path.exists()
    write_text(path, "whole")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_folders_are_made(tmp_path):
    write_text(tmp_path / "b" / "c" / "a.txt", "text")
    assert (tmp_path / "b" / "c" / "a.txt").read_text() == "text"
