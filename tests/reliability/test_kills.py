"""A whole run, killed in the midst of its work, ends with the same results.

    FLEXBENCH_KILLS=50 pytest tests/reliability/test_kills.py -n 0 -m nightly

Once for every change, and again and again by night: five kills of a tiny run are the default. From
ten on it is the smoke tier, both tasks, with a denoiser, a regressor and two formulas: more methods
would be more of the same.
"""

import contextlib
import os
import random
import shutil
import signal
from collections import Counter

import pytest
from reliability.drill import (
    PACE,
    SLOW_ENOUGH,
    Runs,
    check_whole,
    children,
    end_group,
    gone,
)

from flexbench.processes import marked

SEED = 20250128
KILLS = int(os.environ.get("FLEXBENCH_KILLS", "5"))
TINY_UP_TO = 9
METHODS = (
    "methods=[flex,unet-regressor,interpolation,persistence]",
    "tasks.forecast.methods=[flex,persistence]",
    "evaluations=null",
)

# In the graph's order. Where there are fewer kills than steps, the first of FIRST are hit.
# What a run is asked for while a step is struck: no more than that step makes, so that work of the
# later ones is left for their own kills (where one job fails, Snakemake goes on with the others).
STEPS = {
    "simulate": "data/*.h5",
    "train": "checkpoints/*/*/*.safetensors",
    "sample": "samples/*/*/*.h5",
    "score": "scores/*/*/seed?.csv",
    "tabulate": "tables/*.csv",
    "figure": "figures/*/*.png",
    "report": "report.html",
}
FIRST = ("simulate", "train", "sample", "score", "report", "tabulate", "figure")

# Who is killed: the main process or Snakemake alone, the job's own process, or the whole group.
VICTIMS = ("run", "snakemake", "worker", "all")


def plan(kills):
    """(step, victim) of each kill: every step about as often as any other, and every victim."""
    steps = [FIRST[i % len(FIRST)] for i in range(kills)]
    victims = [VICTIMS[i % len(VICTIMS)] for i in range(kills)]
    random.Random(SEED).shuffle(victims)
    return list(zip(sorted(steps, key=list(STEPS).index), victims, strict=True))


def strike(runs, step, victim, *, targets, after):
    """Start, wait until a job of the step has worked for `after` seconds (of a processor); kill.

    False if the job was done by then, or no such job is left. Nobody tidies up afterwards: what
    the victim leaves running is the next run's to find.
    """
    orphans = marked(runs.folder)
    run = runs.start(targets)
    try:
        worker = runs.await_work(run, step, after=after, orphans=orphans)
        if worker is None:
            end_group(run)  # before it does the work that other kills are meant for
            return False
        if victim == "all":
            os.killpg(run.pid, signal.SIGKILL)
        else:
            kill({"run": [run.pid], "worker": [worker], "snakemake": children(run.pid)}[victim])
        if victim == "worker":
            told = run.communicate(timeout=1800)
            assert run.returncode == 1, ("the run tells that a job failed", told)
            assert not marked(runs.folder)
        elif victim == "snakemake":
            run.wait(timeout=60)
            assert run.returncode, "the run tells that it was not finished"
            close(run)
        elif victim == "run":
            run.wait(timeout=60)
            close(run)
        else:
            run.communicate()
            gone([worker])
        return True
    except BaseException:
        end_group(run)
        raise


def kill(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # gone in this very moment
            os.kill(pid, signal.SIGKILL)


def close(run):
    """Its orphans may hold the other ends of the pipes, so nothing is read."""
    run.stdout.close()
    run.stderr.close()


def table(hits):
    lines = [f"{'kills that hit':15}" + "".join(f"{victim:>11}" for victim in VICTIMS)]
    for step in STEPS:
        lines.append(f"{step:15}" + "".join(f"{hits[step, victim]:11}" for victim in VICTIMS))
    return "\n".join([*lines, f"together: {hits.total()}"])


@pytest.fixture
def untrained(tiny_copy):
    """A clone of the tiny run without its weights, and these: all that a run of them makes."""
    folder = tiny_copy.folder / "results" / "smoke" / "checkpoints" / "superres_x4" / "flex"
    shutil.rmtree(folder)
    return tiny_copy, (folder / "seed0.safetensors").relative_to(tiny_copy.folder)


def test_a_run_killed_while_it_trains_ends_with_the_same_results(tiny_run, untrained):
    """kill -9 of the run and all its jobs, as soon as the training has kept a restart point."""
    clone, weights = untrained
    folder = clone.folder / "results" / "smoke"
    often = clone.tiny("results", "train.checkpoint_seconds=0.001")
    for _ in range(5):  # where it was done before the blow, it trains once more
        run = clone.start("flexbench", "run", weights, *often)
        clone.wait(lambda: list(folder.glob("state/train/*/*/*/*/step-*.pt")), run)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        gone(marked(folder))
        if not (clone.folder / weights).exists():
            break
        shutil.rmtree(clone.folder / weights.parent)
    assert not (clone.folder / weights).exists()
    assert any((clone.folder / ".snakemake" / "locks").iterdir())

    again = clone.flexbench("run", weights, *clone.tiny("results"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "flexbench: unlocking after a killed run" in again.stderr
    assert "orphaned jobs" not in again.stderr
    assert "going on after step" in (folder / "logs/train/superres_x4/flex/seed0.log").read_text()
    whole, killed = (Runs(it, it.folder / "results", []) for it in (tiny_run, clone))
    assert killed.results() == whole.results()
    check_whole(folder)
    assert not marked(folder)
    assert not list(clone.folder.glob(".snakemake/locks/*"))
    assert not list(clone.folder.glob(".snakemake/incomplete/*"))


@pytest.mark.nightly
def test_a_run_killed_at_random_moments_ends_with_the_same_results(clone, tmp_path, capsys):
    def runs(name):
        root = tmp_path / name
        if KILLS <= TINY_UP_TO:
            return Runs(clone, root, clone.tiny(root, *SLOW_ENOUGH, *PACE))
        settings = [f"root={root}", *METHODS, *PACE]
        options = ["--tier", "smoke", *(word for text in settings for word in ("--set", text))]
        return Runs(clone, root, options)

    whole, killed = runs("whole"), runs("killed")
    whole.finish()
    moments = random.Random(SEED)
    hits = Counter()
    for step, victim in plan(KILLS):
        made = whole.folder.glob(STEPS[step])
        targets = [killed.folder / path.relative_to(whole.folder) for path in made]
        # One that was too late is tried again, as long as such a job is left.
        for _ in range(3):
            after = moments.uniform(0, 0.9 * whole.cpu_seconds(step))
            if strike(killed, step, victim, targets=targets, after=after):
                hits[step, victim] += 1
                break
    with capsys.disabled():
        print(f"\n{table(hits)}")
    assert hits.total() == KILLS

    killed.finish()
    assert killed.results() == whole.results()
    check_whole(killed.folder)
    verified = clone.flexbench("verify", *killed.options)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert not marked(killed.folder)
    assert not list(clone.folder.glob(".snakemake/locks/*"))
    assert not list(clone.folder.glob(".snakemake/incomplete/*"))
    again = killed.call()
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.parametrize("stop", ["SIGTERM to the run", "Ctrl-C"])
def test_a_stopped_run_saves_what_was_learnt(untrained, stop):
    """The restart point is written because of the signal: none is due before."""
    clone, weights = untrained
    folder = clone.folder / "results" / "smoke"
    settings = ("train.steps=100000", "train.warmup_steps=1", "train.checkpoint_seconds=1000")
    run = clone.start("flexbench", "run", weights, *clone.tiny("results", *settings))
    clone.wait(lambda: list(folder.glob("state/train/*/*/*/*/log.jsonl")), run)
    if stop == "Ctrl-C":
        os.killpg(run.pid, signal.SIGINT)
    else:
        run.send_signal(signal.SIGTERM)
    out, told = run.communicate(timeout=60)
    assert told.splitlines()[1:] == ["flexbench: stopped; the same command goes on from here"]
    assert not out
    assert run.returncode == 128 + (signal.SIGINT if stop == "Ctrl-C" else signal.SIGTERM)
    assert not marked(folder)
    assert not (clone.folder / weights).exists()
    assert list(folder.glob("state/train/*/*/*/*/step-*.pt")), told
    log = (folder / "logs" / "train" / "superres_x4" / "flex" / "seed0.log").read_text()
    assert "stopped after step" in log
    assert "Traceback" not in log
