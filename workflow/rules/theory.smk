# What theory says of residuals, measured: targets on the data, gradients in trainings of their own.


rule targets:
    input:
        of("targets").input,
    output:
        report(
            of("targets").output,
            caption="../report/targets.rst",
            category="Theory",
        ),
    log:
        of("targets").log,
    benchmark:
        of("targets").benchmark
    threads: of("targets").threads
    resources:
        **of("targets").resources,
    params:
        **of("targets").params,
    shell:
        "flexbench targets {wildcards.task}" " --resolved {params.resolved:q} --log {log:q}"


rule gradients:
    input:
        of("gradients").input,
    output:
        report(
            of("gradients").output,
            caption="../report/gradients.rst",
            category="Theory",
            subcategory="{training}",
            labels={"method": "{method}", "training seed": "{seed}"},
        ),
    log:
        of("gradients").log,
    benchmark:
        of("gradients").benchmark
    priority: graph.rule("gradients").priority
    threads: of("gradients").threads
    resources:
        **of("gradients").resources,
    params:
        **of("gradients").params,
    shell:
        "flexbench gradients {wildcards.training} {wildcards.method} --seed {wildcards.seed}"
        " --resolved {params.resolved:q} --log {log:q}"
