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
    input:
        of("simulate").input,
    output:
        of("simulate").output,
    log:
        of("simulate").log,
    benchmark:
        of("simulate").benchmark
    threads: of("simulate").threads
    resources:
        **of("simulate").resources,
    params:
        **of("simulate").params,
        boundary=lambda wildcards: boundary_of(wildcards.walls),
    shell:
        "flexbench simulate --re {wildcards.reynolds} --seed {wildcards.seed}"
        " --boundary {params.boundary:q}"
        " --resolved {params.resolved:q} --log {log:q}"


rule import_data:
    input:
        of("import_data").input,
    output:
        of("import_data").output,
    log:
        of("import_data").log,
    benchmark:
        of("import_data").benchmark
    threads: of("import_data").threads
    resources:
        **of("import_data").resources,
    params:
        **of("import_data").params,
    shell:
        "flexbench import-data {wildcards.source} {wildcards.split}"
        " --resolved {params.resolved:q} --log {log:q}"


rule splits:
    input:
        of("splits").input,
    output:
        report(
            of("splits").output,
            caption="../report/splits.rst",
            category="Data",
        ),
    log:
        of("splits").log,
    benchmark:
        of("splits").benchmark
    threads: of("splits").threads
    resources:
        **of("splits").resources,
    params:
        **of("splits").params,
    shell:
        "flexbench splits --resolved {params.resolved:q} --log {log:q}"


rule statistics:
    input:
        of("statistics").input,
    output:
        report(
            of("statistics").output,
            caption="../report/statistics.rst",
            category="Data",
        ),
    log:
        of("statistics").log,
    benchmark:
        of("statistics").benchmark
    threads: of("statistics").threads
    resources:
        **of("statistics").resources,
        slots=4,
    params:
        **of("statistics").params,
        observable=lambda wildcards: observable_of(wildcards.velocity),
    shell:
        "flexbench statistics {wildcards.task} --observable {params.observable:q}"
        " --resolved {params.resolved:q} --log {log:q}"
