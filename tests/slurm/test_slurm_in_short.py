"""One job on a real Slurm, if there is one: for every change, what `test_slurm` does by night."""

from flexbench.paths import receipt_of

from .conftest import SlurmRun


def test_a_training_on_slurm_has_the_bits_of_a_local_one(installed, cluster, tiny_copy):
    """The tiny run lacks its weights, so that the training is all that there is to submit."""
    run = SlurmRun(tiny_copy, tiny_copy.folder / "results", cluster)
    before = run.weights.read_bytes()
    for path in (run.weights, receipt_of(run.weights)):
        path.unlink()
    run.end(run.snakemake(run.weights))
    assert run.weights.read_bytes() == before
    assert run.log_text().count("== ") == 1, "Slurm ran the job, once"
    assert not run.jobs()


def test_a_broken_slurm_is_told_in_one_line(installed, shared_clone, tmp_path):
    broken = tmp_path / "slurm.conf"
    broken.write_text("ClusterName=nothing\n")
    done = shared_clone.flexbench("jobs", environment={"SLURM_CONF": str(broken)})
    assert done.returncode == 1
    assert done.stderr.startswith("flexbench: error: squeue: ")
    assert len(done.stderr.splitlines()) == 1


def test_where_there_is_no_slurm_its_jobs_are_told_in_one_line(shared_clone):
    done = shared_clone.flexbench("jobs", environment={"PATH": "/nowhere"})
    assert done.stderr.splitlines() == [
        "flexbench: error: squeue is not on the PATH: there is no Slurm here"
    ]
