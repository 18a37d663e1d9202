# The trajectories and their statistics.


localrules:
    all_data,


# A milestone: every trajectory, checked and measured.
rule all_data:
    input:
        graph.all_trajectories,
        layout.splits,
        [layout.statistics(*measured) for measured in graph.measured],


rule simulate:
    output:
        layout.trajectory("{walls}re{reynolds}_seed{seed}"),
    log:
        layout.log("simulate", "{walls}re{reynolds}_seed{seed}"),
    benchmark:
        layout.benchmark("simulate", "{walls}re{reynolds}_seed{seed}")
    threads: graph.config.threads
    resources:
        **graph.rule_resources("simulate"),
    params:
        config=str(layout.config),
        boundary=lambda wildcards: boundary_of(wildcards.walls),
        slice=lambda wildcards: graph.simulate_slice(
            wildcards.reynolds, wildcards.seed, boundary_of(wildcards.walls)
        ),
        code=graph.code("simulate"),
    shell:
        "flexbench simulate --re {wildcards.reynolds} --seed {wildcards.seed}"
        " --boundary {params.boundary:q}"
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
        data=graph.all_trajectories,
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
        layout.statistics("{task}{velocity}"),
    log:
        layout.log("statistics", "{task}{velocity}"),
    benchmark:
        layout.benchmark("statistics", "{task}{velocity}")
    threads: graph.config.threads
    resources:
        **graph.rule_resources("statistics"),
        slots=4,
    params:
        config=str(layout.config),
        observable=lambda wildcards: observable_of(wildcards.velocity),
        slice=lambda wildcards: graph.statistics_slice(
            wildcards.task, observable_of(wildcards.velocity)
        ),
        code=graph.code("statistics"),
    shell:
        "flexbench statistics {wildcards.task} --observable {params.observable:q}"
        " --config {params.config:q} --log {log:q}"
