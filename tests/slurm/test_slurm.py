"""On a real Slurm: a slice of `smoke` to the report, and trainings that are struck in every way.

However a training is struck, it ends with the weights of an undisturbed one, bit for bit, and
never do two processes train in one folder.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def local(make_run):
    """The slice without Slurm, undisturbed."""
    return make_run().local()


def test_the_slice_ends_with_the_report_and_scores_of_a_local_run(local, make_run):
    run = make_run()
    run.end(run.snakemake())
    assert (run.folder / "report.html").stat().st_size > 10_000
    assert run.weights.read_bytes() == local.weights.read_bytes()
    compared = ("scores/**/*.csv", "tables/scores.csv", "tables/comparisons.csv")
    files = {p.relative_to(local.folder) for name in compared for p in local.folder.glob(name)}
    assert len(files) == 2 * 2 + 2  # two methods: scores and spectra; two tables
    for file in files:
        assert (run.folder / file).read_bytes() == (local.folder / file).read_bytes(), file
    finished = (run.clone.folder / "results" / "slurm_logs").glob("*")
    groups = {path.name for path in finished if path.name.startswith("group_")}
    assert groups == {"group_ending_figure_report_tabulate", "group_scales_splits_statistics"}


# --- a training is struck -------------------------------------------------------------------


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def scancel(run):
    main = run.snakemake(run.weights)
    run.until_it_learns(main)
    run.call("scancel", *run.jobs())
    run.end(main)
    assert "SIGTERM: stopped after step" in run.log_text()
    assert "going on after step" in run.log_text()


def time_limit(run):
    """Two minutes, of which the training sleeps away what a longer one would need.

    Slurm sends its signal up to half a minute early, and wakes the sleeper with it.
    """
    main = run.snakemake(run.weights)
    (process,) = run.until_it_learns(main)
    os.kill(process, signal.SIGSTOP)
    while alive(process):
        time.sleep(0.5)
    run.end(main)
    assert "SIGTERM: stopped after step" in run.log_text()
    assert "going on after step" in run.log_text()


def requeue(run):
    main = run.snakemake(run.weights)
    run.until_it_learns(main)
    (job,) = run.jobs()
    run.call("scontrol", "requeue", job)
    run.end(main)
    assert "going on after step" in run.log_text()
    assert f"== {job}.log" in run.log_text()
    assert run.log_text().count("== ") == 1, "the same job did it all"


def kill_the_training(run):
    main = run.snakemake(run.weights)
    (process,) = run.until_it_learns(main)
    os.kill(process, signal.SIGKILL)
    run.end(main)
    assert "its process is gone" in run.log_text()
    assert "going on after step" in run.log_text()


def kill_the_runner(run):
    """kill -9 of plain Snakemake, of `flexbench run`, and a SIGTERM: nothing but to run again."""
    main = run.snakemake(run.weights)
    run.until_it_learns(main)
    os.killpg(main.pid, signal.SIGKILL)
    main.communicate()
    (job,) = run.jobs()
    told = run.clone.flexbench("jobs").stdout
    assert "RUNNING" in told
    assert f"{job}.log" in told
    assert "ORPHAN   train superres_x4_flex_0" in told
    assert "1 orphans ended" in run.clone.flexbench("jobs", "--cancel").stdout
    assert not run.jobs()
    assert "SIGTERM: stopped after step" in run.log_text()

    main = run.flexbench(run.weights)
    run.until_it_learns(main)
    assert "attended by `flexbench run`" in run.clone.flexbench("jobs", "--cancel").stdout
    os.killpg(main.pid, signal.SIGKILL)
    main.communicate()
    assert len(run.jobs()) == 1

    main = run.flexbench(run.weights)
    run.until_it_learns(main)
    main.send_signal(signal.SIGTERM)
    told = main.communicate(timeout=120)[1]
    assert "flexbench: ending 1 orphaned Slurm jobs" in told
    assert main.returncode == 128 + signal.SIGTERM
    assert not run.jobs()

    run.end(run.flexbench(run.weights))


STRIKES = (scancel, time_limit, requeue, kill_the_training, kill_the_runner)
SHORT = {"partition": "cpu", "save_seconds": 10, "train": {"minutes": 2}}


@pytest.fixture(scope="module")
def struck(local, make_run):
    """All cases at once, each in a clone and a folder of its own: by name, a run and a watch."""
    runs = {
        strike.__name__: make_run(**({"place": SHORT} if strike is time_limit else {}))
        for strike in STRIKES
    }
    watches = {name: run.with_data_of(local).watch() for name, run in runs.items()}

    def play(strike):
        with watches[strike.__name__]:
            strike(runs[strike.__name__])

    with ThreadPoolExecutor(len(STRIKES)) as pool:
        played = {strike.__name__: pool.submit(play, strike) for strike in STRIKES}
        for future in played.values():
            future.exception()  # wait for all, so that no case works behind another's back
    return {name: (played[name], runs[name], watches[name]) for name in played}


@pytest.mark.parametrize("name", [strike.__name__ for strike in STRIKES])
def test_a_struck_training_ends_with_the_same_bits(local, struck, name):
    future, run, watch = struck[name]
    future.result()
    assert run.weights.read_bytes() == local.weights.read_bytes()
    assert watch.most == 1, "never two at once"
    # Of the runner's four lives, the third may end its work before it is told to stop.
    least = {"kill_the_runner": 3}.get(name, 2)
    assert len(watch.seen) >= least, "the training really ran again"
    assert not run.jobs()


# --- several GPUs ---------------------------------------------------------------------------


def test_two_processes_on_two_gpus_are_struck_as_one(local, make_run):
    """torchrun starts them, once; SIGTERM reaches both through Slurm, Snakemake and torchrun."""
    two = 'method_settings={"flex": {"train": {"processes": 2}}}'
    alone, run = (make_run(two).with_data_of(local) for _ in range(2))
    words = [word for text in alone.assignments for word in ("--set", text)]
    done = alone.clone.flexbench("run", alone.weights, *words, timeout=300)
    assert done.returncode == 0, done.stderr

    main = run.snakemake(run.weights)
    with run.watch() as watch:
        run.until_it_learns(main)
        (job,) = run.jobs()
        told = run.call("scontrol", "show", "job", job)
        assert "TresPerJob=gres:gpu:2" in told
        assert "NumCPUs=2" in told
        run.call("scancel", job)
        run.end(main)
    assert watch.most == 2, "one torchrun, two ranks"
    assert "SIGTERM: stopped after step" in run.log_text()
    assert "going on after step" in run.log_text()
    assert run.weights.read_bytes() == alone.weights.read_bytes()
