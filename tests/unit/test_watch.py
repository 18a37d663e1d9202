"""What is shown of a run: by real events, how far it is, how long it takes, what failed and why."""

import os
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from terminal import COLUMNS, lines_of, run_in_terminal

from flexbench.config import TIERS
from flexbench.graph import Graph
from flexbench.graph.planned import planned_jobs
from flexbench.planning.facts import RunFacts
from flexbench.planning.forecast import all_seconds
from flexbench.planning.rates import DEFAULTS, Measurement
from flexbench.watch.failure import LAST, failure_block
from flexbench.watch.progress import Progress, Running, read_events
from flexbench.watch.remaining import Remaining
from flexbench.watch.screen import Moment, Screen
from flexbench.watch.words import JobWords

# Of a smoke run on a machine whose two cores others used, too: its `logs/run.events.jsonl`.
EVENTS = read_events(
    (Path(__file__).parents[1] / "data" / "run_events.jsonl").read_text().splitlines()
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return Graph.from_overrides({"tier": "smoke", "root": str(tmp_path_factory.mktemp("root"))})


@pytest.fixture(scope="module")
def jobs(graph):
    return planned_jobs(graph)


@pytest.fixture(scope="module")
def remaining(graph, jobs):
    """By the rates that stand for a machine that was never measured."""
    speed = Measurement.model_validate_json(DEFAULTS.read_bytes())
    return Remaining(all_seconds(RunFacts.of(graph, keep=False), speed, jobs))


def replayed(jobs, moments):
    """(progress, moment) at each event, and at so many moments up to the next one."""
    progress = Progress(jobs=jobs)
    for event, following in pairwise(EVENTS):
        progress.take(event)
        if progress.began is not None:
            span = following["time"] - event["time"]
            for part in range(moments):
                yield progress, event["time"] + span * part / moments


def test_the_time_that_is_left_is_right_within_a_factor_of_two(jobs, remaining):
    """From a tenth of the jobs or of the time on, whichever comes first, to the end; but for what
    is less than a fiftieth of the run, half a minute of 26."""
    begun, end = EVENTS[0]["time"], EVENTS[-1]["time"]
    wrong, seen = {}, 0
    for progress, now in replayed(jobs, moments=3):
        early = progress.done < progress.total / 10 and now - begun < (end - begun) / 10
        if early:
            continue
        seen += 1
        told, true = remaining.left(progress, now=now), end - now
        if not true / 2 <= told <= 2 * true and abs(told - true) > (end - begun) / 50:
            wrong[round(now - begun)] = (round(told), round(true))
    assert seen > 500
    assert not wrong


def test_measured_jobs_correct_a_forecast_that_is_wrong_for_this_machine(jobs, remaining):
    """The same within a few per cent, were the machine twenty times as fast as it is told to be."""
    slow = Remaining({key: 20 * seconds for key, seconds in remaining.seconds.items()})
    for progress, now in replayed(jobs, moments=1):
        if progress.done > progress.total / 4:
            told = remaining.left(progress, now=now)
            assert slow.left(progress, now=now) == pytest.approx(told, rel=0.1)


def test_every_job_is_counted_once(jobs):
    progress = Progress(jobs=jobs)
    for event in EVENTS:
        progress.take(event)
        assert len(progress.waiting()) == progress.total - progress.done - len(progress.running)
    assert progress.done == progress.total == len(jobs)
    assert not progress.running


def test_what_needs_a_job_that_failed_is_not_waited_for(jobs, remaining):
    progress = Progress(jobs=jobs)
    fail = next(e for e in EVENTS if e["event"] == "started" and e["rule"] == "train")
    for event in EVENTS[: EVENTS.index(fail) + 1]:
        progress.take(event)
    now = fail["time"] + 1
    before = remaining.left(progress, now=now)
    progress.take({"event": "failed", "id": fail["id"], "time": now})
    (failed,) = progress.failed.values()
    needing = [key for key, job in jobs.items() if failed.running.job.key in job.needs]
    assert needing
    assert not {*needing, "report "} & set(progress.waiting())
    assert remaining.left(progress, now=now) < before
    # One that is tried again is not lost.
    progress.take({"event": "again", "id": fail["id"], "time": now})
    assert set(needing) < set(progress.waiting())


def test_an_event_that_nobody_knows_is_an_error(jobs):
    with pytest.raises(ValueError, match="'paused'"):
        Progress(jobs=jobs).take({"event": "paused", "time": 0.0})


# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_every_job_has_a_name_of_its_own(tier):
    graph = Graph.from_overrides({"tier": tier})
    words = JobWords(graph)
    told = [words.of(job) for job in planned_jobs(graph).values()]
    assert len(set(told)) == len(told)
    assert not any("{" in name for name in told)


def test_names_are_those_of_the_report(graph, jobs):
    words = JobWords(graph)
    told = {key: words.of(job) for key, job in jobs.items()}
    assert told["train training=forecast, method=flex, seed=0"] == "training FLEX on Forecast"
    walls = "sampling FLEX: Super-resolution ×4, no-slip walls"
    assert told["sample case=superres_x4.no_slip, method=flex, seed=0"] == walls


# --- a job that failed ----------------------------------------------------------------------


@pytest.fixture
def failed(jobs, tmp_path):
    log = tmp_path / "logs" / "train" / "forecast" / "flex" / "seed0.log"
    log.parent.mkdir(parents=True)
    job = jobs["train training=forecast, method=flex, seed=0"]
    return Running(job=job, began=0.0, log=log)


def test_a_failed_job_is_told_with_its_last_words_and_its_log(failed):
    said = [f"  train forecast flex seed0: step {step}" for step in range(100)]
    others = "  train forecast flex seed01: not this one\nError in rule train:\n"
    failed.log.write_text("of an attempt before\n")
    block = failure_block(failed, "training FLEX", "\n".join([*said, others]))
    assert block.splitlines() == [
        "flexbench: failed: training FLEX (train forecast flex seed0)",
        *(f"    step {step}" for step in range(100 - LAST, 100)),
        f"    its log: {failed.log}",
    ]


def test_what_it_said_on_another_machine_is_in_its_log(failed):
    failed.log.write_text("step 1\n\nflexbench: error: no GPU here\n")
    lines = failure_block(failed, "training FLEX", "nothing of it").splitlines()
    assert lines[1:-1] == ["    step 1", "    flexbench: error: no GPU here"]
    failed.log.unlink()
    assert failure_block(failed, "", "").splitlines()[1:-1] == ["    it said nothing"]


# --- on the screen --------------------------------------------------------------------------

SHOW = """
from flexbench.watch.screen import Moment, Screen
long = "drawing [x]: " + "y" * 200
with Screen(quiet={quiet}) as screen:
    for done in range(103):
        screen.show(Moment(done=done, total=102, failed=0, doing=[long], left=90))
        if done == 50:
            screen.say("flexbench: halfway :x: " + "z" * 200)
    screen.say("flexbench: lost", error=True)
"""


def shown(*, quiet=False, **environment):
    """What is written to a terminal of a run of 102 jobs."""
    inherited = {key: it for key, it in os.environ.items() if key not in ("NO_COLOR", "TERM")}
    return run_in_terminal(
        [sys.executable, "-c", SHOW.format(quiet=quiet)],
        env=inherited | {"TERM": "xterm"} | environment,
    )


def test_the_line_is_gone_in_the_end_and_what_was_said_stays():
    code, written = shown()
    assert code == 0, written
    assert [line for line in lines_of(written, fold=False) if line] == [
        f"flexbench: halfway :x: {'z' * 200}",
        "flexbench: lost",
    ]
    assert "102/102" in written
    assert "90 s left: drawing [x]: yyy" in written
    assert "\x1b[32m" in written
    assert written.count("\n") == 3  # two lines that stay, and the one that was taken away


def test_colours_are_left_out_where_nobody_wants_them():
    _, written = shown(NO_COLOR="1")
    assert "102/102" in written
    assert "\x1b[3" not in written


def test_a_simple_terminal_and_a_quiet_one_get_no_line_that_changes():
    _, written = shown(TERM="dumb")
    assert written.count("\n") == 11
    assert "\x1b" not in written
    assert shown(quiet=True) == (0, "flexbench: lost\r\n")


def test_elsewhere_there_is_a_line_for_each_tenth(capsys):
    with Screen() as screen:
        for done in range(103):
            doing = ["making the tables"]
            screen.show(Moment(done=done, total=102, failed=done // 60, doing=doing, left=61))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9
    assert lines[0] == "flexbench: 11 of 102 jobs done, 61 s left: making the tables"
    assert lines[-1] == "flexbench: 92 of 102 jobs done, 61 s left, 1 failed: making the tables"
    assert max(map(len, lines)) < COLUMNS
