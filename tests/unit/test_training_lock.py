"""The lock of a state folder: live owners are respected, dead ones are not."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from flexbench.errors import FlexbenchError
from flexbench.training.lock import StateLock


def lock(folder, messages=None, **options):
    return StateLock(folder, say=(messages if messages is not None else []).append, **options)


def forge(folder, **owner):
    """A lock file of another process."""
    values = {"host": "elsewhere", "pid": 1, "started": None, "job": None, "token": "other"}
    (folder / "lock").write_text(json.dumps(values | owner))


def age(folder, seconds):
    past = time.time() - seconds
    os.utime(folder / "lock", (past, past))


def test_lock_is_there_inside_and_gone_outside(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with lock(tmp_path / "state"):
        owner = json.loads((tmp_path / "state" / "lock").read_text())
        assert owner["host"] == socket.gethostname()
        assert owner["pid"] == os.getpid()
        assert owner["job"] == "4711"
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["lock.guard"]


def test_second_training_is_refused_while_the_first_lives(tmp_path):
    with lock(tmp_path):
        with pytest.raises(FlexbenchError, match=f"process {os.getpid()} on .* is training"):
            lock(tmp_path).__enter__()
        assert sorted(p.name for p in tmp_path.iterdir()) == ["lock", "lock.guard"]


def test_live_owner_on_another_host_is_respected(tmp_path):
    forge(tmp_path, job="12")
    with pytest.raises(FlexbenchError, match="process 1 on elsewhere, Slurm job 12"):
        lock(tmp_path).__enter__()
    assert json.loads((tmp_path / "lock").read_text())["token"] == "other"


def test_old_heartbeat_is_taken_over(tmp_path):
    forge(tmp_path)
    age(tmp_path, 200)
    messages = []
    with lock(tmp_path, messages):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert "took over from process 1 on elsewhere (no heartbeat for 200 s)" in messages[0]


def test_dead_process_of_this_host_is_taken_over_at_once(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    forge(tmp_path, host=socket.gethostname(), pid=child.pid)
    messages = []
    with lock(tmp_path, messages):
        pass
    assert "its process is gone" in messages[0]


def test_another_process_with_the_old_id_is_no_owner(tmp_path):
    forge(tmp_path, host=socket.gethostname(), pid=os.getpid(), started="12")
    messages = []
    with lock(tmp_path, messages):
        pass
    assert "its process is gone" in messages[0]


def test_unreadable_lock_counts_until_it_is_old(tmp_path):
    (tmp_path / "lock").write_text("{")
    with pytest.raises(FlexbenchError, match="an unknown process"):
        lock(tmp_path).__enter__()
    age(tmp_path, 200)
    with lock(tmp_path):
        pass


def test_heartbeat_keeps_the_lock_fresh(tmp_path):
    with lock(tmp_path, heartbeat_seconds=0.02):
        age(tmp_path, 500)
        deadline = time.monotonic() + 5
        while time.time() - (tmp_path / "lock").stat().st_mtime > 100:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_lost_lock_is_noticed_and_left_to_the_new_owner(tmp_path):
    with lock(tmp_path) as mine:
        mine.check()
        forge(tmp_path, pid=77)
        with pytest.raises(FlexbenchError, match="process 77 on elsewhere has taken"):
            mine.check()
    assert json.loads((tmp_path / "lock").read_text())["pid"] == 77


@pytest.mark.parametrize("attempt", range(20))
def test_many_at_once_one_wins(tmp_path, attempt):
    """Eight reach for one stale lock in the same moment: exactly one gets it."""
    forge(tmp_path, pid=attempt)
    age(tmp_path, 500)
    together = threading.Barrier(8)

    def reach(_):
        mine = lock(tmp_path)
        together.wait()
        try:
            mine.__enter__()
        except FlexbenchError:
            return None
        return mine

    with ThreadPoolExecutor(8) as pool:
        winners = [mine for mine in pool.map(reach, range(8)) if mine is not None]
    assert len(winners) == 1
    winners[0].check()
    winners[0].__exit__(None, None, None)
    assert not (tmp_path / "lock").exists()


def test_a_patient_training_waits_for_a_live_owner_to_go(tmp_path):
    forge(tmp_path)
    messages = []
    gone = threading.Timer(0.5, (tmp_path / "lock").unlink)
    gone.start()
    with lock(tmp_path, messages, wait_seconds=30):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert len(messages) == 1
    assert "process 1 on elsewhere is training in this folder" in messages[0]
    assert "waiting up to 30 s" in messages[0]


def test_a_patient_training_takes_over_when_the_heartbeat_is_old(tmp_path):
    forge(tmp_path)
    messages = []
    with lock(tmp_path, messages, wait_seconds=30, stale_seconds=1.5):
        pass
    assert "took over from process 1 on elsewhere (no heartbeat" in messages[-1]


def test_patience_ends(tmp_path):
    forge(tmp_path)
    with pytest.raises(FlexbenchError, match="flexbench jobs --cancel"):
        lock(tmp_path, wait_seconds=0.1).__enter__()
    assert json.loads((tmp_path / "lock").read_text())["token"] == "other"
