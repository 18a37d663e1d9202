"""What Snakemake's own tools and its catalog of workflows ask for."""

import json
import re
import zipfile

import pytest
import yaml

from flexbench.config import TIERS
from flexbench.paths import checkout

# What `snakemake --lint` says, and why it may.
ALLOWED = {
    "Specify a conda environment or container for each rule.:": "all rules are verbs of one "
    "package, whose environment is installed once (constraints.txt, containers/)",
}


def test_lint_finds_only_what_is_allowed(shared_clone, tmp_path):
    done = shared_clone.snakemake("--lint", "--config", "tier=smoke", f"root={tmp_path}")
    told = done.stdout + done.stderr
    found = set(re.findall(r"^    \* (.*)$", told, flags=re.M))
    assert found == set(ALLOWED), told


def test_the_catalog_is_told_how_to_run():
    said = yaml.safe_load((checkout() / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    flags = said["mandatory-flags"]["flags"].split()
    assert flags[0] == "--config"
    assert dict(it.split("=") for it in flags[1:])["tier"] in TIERS
    assert said["report"] is True
    assert set(said["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"}
    text = (checkout() / "config/README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (checkout() / "config" / target).exists(), target


@pytest.fixture(scope="module")
def archive(tiny_run, tmp_path_factory):
    """What `snakemake --report` makes of the tiny run: its results and its categories."""
    base = tmp_path_factory.mktemp("report")
    clone = tiny_run.copy(base / "clone")
    settings = base / "config.yaml"  # that of the results is not for Snakemake to write to
    settings.write_bytes((clone.folder / "results/smoke/config.yaml").read_bytes())
    made = base / "made.zip"
    done = clone.snakemake("--report", made, "--nolock", "--configfile", settings)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(made) as file:
        page = file.read("made/report.html").decode()

    def value(name):
        start = f"var {name} = {{"
        return json.JSONDecoder().raw_decode(page, page.index(start) + len(start) - 1)[0]

    return value("results"), value("categories"), page


def test_every_output_that_is_not_large_is_in_the_archive(archive, tiny_graph, made):
    results, _, _ = archive
    graph = tiny_graph(made)
    expected = {
        f"results/{path.relative_to(made)}"
        for step in graph.steps
        for path in step.outputs
        if not graph.rule(step.name).large or path.suffix == ".jsonl"
    }
    assert set(results) == expected
    assert len(expected) > 30


def test_every_output_has_a_category_and_a_caption(archive):
    results, categories, page = archive
    assert set(categories) == {"Report", "Tables", "Figures", "Scores", "Training", "Data"}
    told = [path for part in categories.values() for paths in part.values() for path in paths]
    assert sorted(told) == sorted(results)
    for path, result in results.items():
        assert len(result["caption"]) > 100, path
        assert "{{" not in result["caption"], path
    assert set(categories["Figures"]) == {"superres_x4"}
    # Files of one name are told apart.
    for part in categories["Scores"].values():
        labels = [json.dumps(results[path]["labels"]) for path in part]
        assert len(set(labels)) == len(labels) == 4
    assert "what diffusion models can do" in page


def test_every_caption_belongs_to_a_rule_and_every_rule_has_one():
    """Of rules that the tiny run lacks, too."""
    rules = "".join(path.read_text() for path in (checkout() / "workflow/rules").glob("*.smk"))
    used = set(re.findall(r'caption="\.\./report/(\w+)\.rst"', rules))
    there = {path.stem for path in (checkout() / "workflow/report").glob("*.rst")}
    assert there == used | {"workflow"}
    for text in re.split(r"^rule ", rules, flags=re.M)[1:]:
        name = text.split(":")[0]
        if "    output:" in text and name not in {"simulate", "import_data", "sample"}:
            assert f'"../report/{name}.rst"' in text, name
