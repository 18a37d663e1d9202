# The one graph: equations -> data -> training -> ensembles -> scores -> report.
# `snakemake --config tier=smoke` runs a tier; `flexbench run` adds a guard and resumes after kills.
from snakemake.utils import min_version

min_version("9.20")

from flexbench.graph import SPLITS, Graph
from flexbench.paths import TABLES
from flexbench.report.catalogue import FIGURES

graph = Graph.from_overrides(config)
layout = graph.layout


wildcard_constraints:
    task=r"[^/]+",
    method=r"[^/]+",
    seed=r"\d+",
    reynolds=r"[0-9.e+]+",


localrules:
    all,
    configure,


rule all:
    input:
        layout.report,
    default_target: True


include: "workflow/rules/data.smk"
include: "workflow/rules/learn.smk"
include: "workflow/rules/judge.smk"
