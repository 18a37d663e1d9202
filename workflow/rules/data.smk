# The trajectories and their statistics.


localrules:
    all_data,


# A milestone: every trajectory, checked and measured.
rule all_data:
    input:
        graph.trajectories(*SPLITS),
        layout.splits,
        [layout.statistics(task) for task in graph.measured_tasks],


rule simulate:
    output:
        layout.trajectory("re{reynolds}_seed{seed}"),
    log:
        layout.log("simulate", "re{reynolds}_seed{seed}"),
    benchmark:
        layout.benchmark("simulate", "re{reynolds}_seed{seed}")
    threads: graph.config.threads
    resources:
        **graph.rule_resources("simulate"),
    params:
        config=str(layout.config),
        slice=lambda wildcards: graph.simulate_slice(wildcards.reynolds, wildcards.seed),
        code=graph.code("simulate"),
    shell:
        "flexbench simulate --re {wildcards.reynolds} --seed {wildcards.seed}"
        " --config {params.config:q} --log {log:q}"


rule import_data:
    input:
        lambda wildcards: str(graph.source_file(wildcards.source)),
    output:
        layout.trajectory("{source}_{split}"),
    log:
        layout.log("import_data", "{source}_{split}"),
    benchmark:
        layout.benchmark("import_data", "{source}_{split}")
    resources:
        **graph.rule_resources("import_data"),
    params:
        config=str(layout.config),
        slice=lambda wildcards: graph.import_slice(wildcards.source, wildcards.split),
        code=graph.code("import_data"),
    shell:
        "flexbench import-data {wildcards.source} {wildcards.split}"
        " --config {params.config:q} --log {log:q}"


rule splits:
    input:
        data=graph.trajectories(*SPLITS),
    output:
        layout.splits,
    log:
        layout.log("splits"),
    benchmark:
        layout.benchmark("splits")
    resources:
        **graph.rule_resources("splits"),
    params:
        config=str(layout.config),
        slice=graph.splits_slice(),
        code=graph.code("splits"),
    shell:
        "flexbench splits --config {params.config:q} --log {log:q}"


rule statistics:
    input:
        train=graph.trajectories("train"),
    output:
        layout.statistics("{task}"),
    log:
        layout.log("statistics", "{task}"),
    benchmark:
        layout.benchmark("statistics", "{task}")
    threads: graph.config.threads
    resources:
        **graph.rule_resources("statistics"),
        slots=4,
    params:
        config=str(layout.config),
        slice=lambda wildcards: graph.statistics_slice(wildcards.task),
        code=graph.code("statistics"),
    shell:
        "flexbench statistics {wildcards.task} --config {params.config:q} --log {log:q}"
