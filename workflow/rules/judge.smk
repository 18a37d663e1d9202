# Scores, tables, figures, the report.


rule score:
    input:
        samples=layout.samples("{case}", "{method}", "{seed}"),
        data=lambda wildcards: graph.tested(wildcards.case),
    output:
        scores=layout.scores("{case}", "{method}", "{seed}"),
        spectra=layout.spectra("{case}", "{method}", "{seed}"),
    log:
        layout.log("score", "{case}", "{method}", "seed{seed}"),
    benchmark:
        layout.benchmark("score", "{case}", "{method}", "seed{seed}")
    threads: graph.config.threads
    resources:
        **graph.rule_resources("score"),
    params:
        config=str(layout.config),
        slice=lambda wildcards: graph.score_slice(wildcards.case),
        code=graph.code("score"),
    shell:
        "flexbench score {wildcards.case} {wildcards.method} --seed {wildcards.seed}"
        " --config {params.config:q} --log {log:q}"


rule tabulate:
    input:
        scores=[layout.scores(job.task, job.method, job.seed) for job in graph.jobs],
    output:
        [layout.table(name) for name in TABLES],
        layout.headline,
    log:
        layout.log("tabulate"),
    benchmark:
        layout.benchmark("tabulate")
    resources:
        **graph.rule_resources("tabulate"),
    params:
        config=str(layout.config),
        slice=graph.tabulate_slice(),
        code=graph.code("tabulate"),
    shell:
        "flexbench tabulate --config {params.config:q} --log {log:q}"


rule figure:
    input:
        tables=[layout.table(name) for name in TABLES],
        sources=lambda wildcards: figure_sources(graph, wildcards.case, wildcards.name),
    output:
        layout.figure("{case}", "{name}"),
        layout.figure("{case}", "{name}").with_suffix(".pdf"),
    log:
        layout.log("figure", "{case}", "{name}"),
    benchmark:
        layout.benchmark("figure", "{case}", "{name}")
    resources:
        **graph.rule_resources("figure"),
        slots=1,
    params:
        config=str(layout.config),
        slice=lambda wildcards: graph.figure_slice(wildcards.case, wildcards.name),
        code=lambda wildcards: graph.figure_code(FIGURES[wildcards.name].module),
    shell:
        "flexbench figure {wildcards.case} {wildcards.name} --config {params.config:q} --log {log:q}"


rule animation:
    input:
        tables=[layout.table(name) for name in TABLES],
        sources=lambda wildcards: figure_sources(graph, wildcards.case, wildcards.name),
    output:
        layout.animation("{case}", "{name}"),
    log:
        layout.log("animation", "{case}", "{name}"),
    benchmark:
        layout.benchmark("animation", "{case}", "{name}")
    resources:
        **graph.rule_resources("figure"),
        slots=1,
    params:
        config=str(layout.config),
        slice=lambda wildcards: graph.figure_slice(wildcards.case, wildcards.name),
        code=lambda wildcards: graph.figure_code(FIGURES[wildcards.name].module),
    shell:
        "flexbench figure {wildcards.case} {wildcards.name} --config {params.config:q} --log {log:q}"


rule report:
    input:
        tables=[layout.table(name) for name in TABLES],
        figures=all_figures(graph),
        described=described_in(graph, *graph.cases),
    output:
        report(layout.report, caption="../report/report.rst", category="Report"),
    log:
        layout.log("report"),
    benchmark:
        layout.benchmark("report")
    resources:
        **graph.rule_resources("report"),
    params:
        config=str(layout.config),
        words=graph.words,
        code=graph.report_code,
    shell:
        "flexbench report --config {params.config:q} --log {log:q}"
