# The one graph: equations -> data -> training -> ensembles -> scores -> report.
# `snakemake --config tier=smoke` runs a tier; `flexbench run` adds a guard and resumes after kills.
from snakemake.utils import min_version

min_version("9.20")

import sys
from functools import partial
from pathlib import Path

from flexbench import environment

environment.apply()  # jobs inherit it, whoever started Snakemake

from flexbench.atomic import write_text
from flexbench.graph import Graph, boundary_of, observable_of
from flexbench.graph.snakefile import SnakemakeRule, launcher
from flexbench.killed import killed_jobs

# Snakemake works in the checkout, and names its targets from there.
graph = Graph.from_overrides(config, start=Path())
layout = graph.layout
# All that a rule is made of but its line: of("train").input, and so on.
of = partial(SnakemakeRule, graph)


wildcard_constraints:
    task=r"[A-Za-z0-9_-]+",
    training=r"[A-Za-z0-9_+-]+",
    case=r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?",
    method=r"[A-Za-z0-9_-]+",
    fit=r"[A-Za-z0-9_-]+",
    name=r"[a-z_]+",
    seed=r"\d+",
    walls=r"((free_slip|no_slip)_)?",
    reynolds=r"[0-9.e+]+",
    source=r"[A-Za-z0-9_-]+",
    split=r"train|validation|test",
    velocity=r"(\.[uv])?",


# What `snakemake --report` begins with; captions of outputs stand beside their rules.
report: "workflow/report/workflow.rst"


localrules:
    all,


# The configuration that the verbs read. It is no rule: Snakemake does not look for changed
# settings behind a job that is to run, so a job that stands before all others would hide them all.
onstart:
    write_text(layout.config, graph.text)


onerror:
    for line in killed_jobs(log):
        print(f"flexbench: {line}", file=sys.stderr)


rule all:
    default_target: True
    input:
        layout.report,


include: "workflow/rules/data.smk"
include: "workflow/rules/learn.smk"
include: "workflow/rules/theory.smk"
include: "workflow/rules/judge.smk"
