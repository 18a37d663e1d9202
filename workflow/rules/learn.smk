# Training, and the ensembles of what was trained (or of a formula, which needs no training).


localrules:
    all_weights,


# A milestone: every network, trained.
rule all_weights:
    input:
        [layout.checkpoint(it.name, it.method, it.seed) for it in graph.trainings],


rule train:
    input:
        of("train").input,
    output:
        of("train").output[0],
        report(
            of("train").output[1],
            caption="../report/train.rst",
            category="Training",
            subcategory="{training}",
            labels={"method": "{method}", "training seed": "{seed}"},
        ),
    log:
        of("train").log,
    benchmark:
        of("train").benchmark
    priority: graph.rule("train").priority
    threads: of("train").threads
    resources:
        **of("train").resources,
    params:
        **of("train").params,
        launch=lambda wildcards: launcher(graph, wildcards.method),
    shell:
        "{params.launch} train {wildcards.training} {wildcards.method} --seed {wildcards.seed}"
        " --resolved {params.resolved:q} --log {log:q}"


rule calibrate:
    input:
        of("calibrate").input,
    output:
        report(
            of("calibrate").output,
            caption="../report/calibrate.rst",
            category="Calibration fits",
            subcategory="{fit}",
            labels={"method": "{method}", "training seed": "{seed}"},
        ),
    log:
        of("calibrate").log,
    benchmark:
        of("calibrate").benchmark
    threads: of("calibrate").threads
    resources:
        **of("calibrate").resources,
    params:
        **of("calibrate").params,
    shell:
        "flexbench calibrate {wildcards.fit} {wildcards.method} --seed {wildcards.seed}"
        " --resolved {params.resolved:q} --log {log:q}"


rule sample:
    input:
        of("sample").input,
    output:
        of("sample").output,
    log:
        of("sample").log,
    benchmark:
        of("sample").benchmark
    wildcard_constraints:
        **of("sample").constraints,
    threads: of("sample").threads
    resources:
        **of("sample").resources,
    params:
        **of("sample").params,
    shell:
        "flexbench sample {wildcards.case} {wildcards.method} --seed {wildcards.seed}"
        " --resolved {params.resolved:q} --log {log:q}"
