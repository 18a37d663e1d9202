# Scores, tables, figures, the report.


rule score:
    input:
        config=ancient(layout.config),
        samples=layout.samples("{task}", "{method}", "{seed}"),
        data=graph.trajectories("test"),
    output:
        scores=layout.scores("{task}", "{method}", "{seed}"),
        spectra=layout.spectra("{task}", "{method}", "{seed}"),
    params:
        slice=graph.score_slice(),
        code=graph.code("score"),
    threads: graph.config.threads
    log:
        layout.log("score", "{task}", "{method}", "seed{seed}"),
    benchmark:
        layout.benchmark("score", "{task}", "{method}", "seed{seed}")
    shell:
        "flexbench score {wildcards.task} {wildcards.method} --seed {wildcards.seed}"
        " --config {input.config} --log {log}"


rule tabulate:
    input:
        config=ancient(layout.config),
        scores=[layout.scores(job.task, job.method, job.seed) for job in graph.jobs],
    output:
        [layout.table(name) for name in TABLES],
    params:
        slice=graph.tabulate_slice(),
        code=graph.code("tabulate"),
    log:
        layout.log("tabulate"),
    benchmark:
        layout.benchmark("tabulate")
    shell:
        "flexbench tabulate --config {input.config} --log {log}"


rule figure:
    input:
        config=ancient(layout.config),
        tables=[layout.table(name) for name in TABLES],
        statistics=layout.statistics("{task}"),
        samples=lambda wildcards: [
            layout.samples(job.task, job.method, job.seed) for job in graph.jobs_of(wildcards.task)
        ],
        curves=lambda wildcards: [
            layout.training_log(job.task, job.method, job.seed)
            for job in graph.trained_jobs(wildcards.task)
        ],
    output:
        layout.figure("{task}", "{name}"),
        layout.figure("{task}", "{name}").with_suffix(".pdf"),
    params:
        slice=lambda wildcards: graph.figure_slice(wildcards.task, wildcards.name),
        code=graph.code("figure"),
    log:
        layout.log("figure", "{task}", "{name}"),
    benchmark:
        layout.benchmark("figure", "{task}", "{name}")
    shell:
        "flexbench figure {wildcards.task} {wildcards.name} --config {input.config} --log {log}"


rule report:
    input:
        config=ancient(layout.config),
        tables=[layout.table(name) for name in TABLES],
        figures=[layout.figure(task, name) for task in graph.tasks for name in FIGURES],
    output:
        report(layout.report, caption="../report/report.rst", category="Report"),
    params:
        code=graph.code("report"),
    log:
        layout.log("report"),
    benchmark:
        layout.benchmark("report")
    shell:
        "flexbench report --config {input.config} --log {log}"
