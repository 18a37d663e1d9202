# The configuration, the trajectories and their statistics.


rule configure:
    output:
        layout.config,
    params:
        text=graph.text,
    log:
        layout.log("configure"),
    benchmark:
        layout.benchmark("configure")
    shell:
        "printf '%s' {params.text:q} > {output} 2> {log}"


rule simulate:
    input:
        config=ancient(layout.config),
    output:
        layout.trajectory("re{reynolds}_seed{seed}"),
    params:
        slice=lambda wildcards: graph.simulate_slice(wildcards.reynolds, wildcards.seed),
        code=graph.code("simulate"),
    threads: graph.config.threads
    log:
        layout.log("simulate", "re{reynolds}_seed{seed}"),
    benchmark:
        layout.benchmark("simulate", "re{reynolds}_seed{seed}")
    shell:
        "flexbench simulate --re {wildcards.reynolds} --seed {wildcards.seed}"
        " --config {input.config} --log {log}"


rule splits:
    input:
        config=ancient(layout.config),
        data=graph.trajectories(*SPLITS),
    output:
        layout.splits,
    params:
        slice=graph.splits_slice(),
        code=graph.code("splits"),
    log:
        layout.log("splits"),
    benchmark:
        layout.benchmark("splits")
    shell:
        "flexbench splits --config {input.config} --log {log}"


rule statistics:
    input:
        config=ancient(layout.config),
        train=graph.trajectories("train"),
    output:
        layout.statistics("{task}"),
    params:
        slice=lambda wildcards: graph.statistics_slice(wildcards.task),
        code=graph.code("statistics"),
    threads: graph.config.threads
    log:
        layout.log("statistics", "{task}"),
    benchmark:
        layout.benchmark("statistics", "{task}")
    shell:
        "flexbench statistics {wildcards.task} --config {input.config} --log {log}"
