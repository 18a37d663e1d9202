# Training, and the ensembles of what was trained (or of a formula, which needs no training).


localrules:
    all_weights,


# A milestone: every network, trained.
rule all_weights:
    input:
        [layout.checkpoint(job.task, job.method, job.seed) for job in graph.trainings],


# Its task is a training's name: that of several tasks where a network learns them together.
rule train:
    input:
        statistics=lambda wildcards: train_statistics(graph, wildcards.task),
        data=graph.trajectories("train", "validation"),
    output:
        weights=layout.checkpoint("{task}", "{method}", "{seed}"),
        curve=layout.training_log("{task}", "{method}", "{seed}"),
    log:
        layout.log("train", "{task}", "{method}", "seed{seed}"),
    benchmark:
        layout.benchmark("train", "{task}", "{method}", "seed{seed}")
    wildcard_constraints:
        task=r"[A-Za-z0-9_+-]+",
    # The longest jobs first, so that no core waits for the last of them.
    priority: 1
    threads: lambda wildcards: graph.cores("train", wildcards.method)
    resources:
        **graph.rule_resources("train"),
    params:
        config=str(layout.config),
        slice=lambda wildcards: graph.train_slice(wildcards.task, wildcards.method, wildcards.seed),
        code=lambda wildcards: graph.code("train", wildcards.method),
        launch=lambda wildcards: graph.launcher(wildcards.method),
    shell:
        "{params.launch} train {wildcards.task} {wildcards.method} --seed {wildcards.seed}"
        " --config {params.config:q} --log {log:q}"


rule sample:
    input:
        statistics=lambda wildcards: graph.statistics(wildcards.case),
        splits=layout.splits,
        data=lambda wildcards: graph.tested(wildcards.case),
        weights=lambda wildcards: graph.weights(wildcards.case, wildcards.method, wildcards.seed),
    output:
        layout.samples("{case}", "{method}", "{seed}"),
    log:
        layout.log("sample", "{case}", "{method}", "seed{seed}"),
    benchmark:
        layout.benchmark("sample", "{case}", "{method}", "seed{seed}")
    threads: graph.config.threads
    resources:
        **graph.rule_resources("sample"),
    params:
        config=str(layout.config),
        slice=lambda wildcards: graph.sample_slice(wildcards.case, wildcards.method, wildcards.seed),
        code=lambda wildcards: graph.code("sample", wildcards.method),
    shell:
        "flexbench sample {wildcards.case} {wildcards.method} --seed {wildcards.seed}"
        " --config {params.config:q} --log {log:q}"
