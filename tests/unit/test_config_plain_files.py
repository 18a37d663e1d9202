"""Files that a configuration cannot be read from twice are refused at once, not waited for."""

import os
import socket

import pytest

from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError


def fifo(path):
    os.mkfifo(path)
    return path


def linked(target, path):
    path.symlink_to(target)
    return path


def listening(path):
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(path))
    return path


KINDS = {
    "pipe": (lambda path: fifo(path), "a pipe"),
    "link to a pipe": (lambda path: linked(fifo(path.with_name("p")), path), "a pipe"),
    "nothing": (lambda path: linked("/dev/null", path), "a device or a socket"),
    "zeros": (lambda path: linked("/dev/zero", path), "a device or a socket"),
    "random": (lambda path: linked("/dev/urandom", path), "a device or a socket"),
    "terminal": (lambda path: linked("/dev/tty", path), "a device or a socket"),
    "socket": (listening, "a device or a socket"),
    "folder": (lambda path: path.mkdir() or path, "a folder"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_plain_file_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    make, found = KINDS[name]
    path = make(tmp_path / "own.yaml")
    with pytest.raises(
        FlexbenchError, match=rf"own\.yaml: a plain file is needed.*; found {found}"
    ):
        read_yaml(path)


def test_a_link_to_a_plain_file_is_read(tmp_path):
    (tmp_path / "real.yaml").write_text("tier: smoke\n")
    assert read_yaml(linked(tmp_path / "real.yaml", tmp_path / "own.yaml")) == {"tier": "smoke"}
