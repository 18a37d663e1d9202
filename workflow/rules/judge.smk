# Scores, tables, figures, the report.


rule score:
    input:
        of("score").input,
    output:
        [
            report(
                path,
                caption="../report/score.rst",
                category="Scores",
                subcategory="{case}",
                labels={"method": "{method}", "training seed": "{seed}", "of": told},
            )
            for path, told in zip(of("score").output, ("snapshots", "spectra"))
        ],
    log:
        of("score").log,
    benchmark:
        of("score").benchmark
    threads: of("score").threads
    resources:
        **of("score").resources,
    params:
        **of("score").params,
    shell:
        "flexbench score {wildcards.case} {wildcards.method} --seed {wildcards.seed}"
        " --resolved {params.resolved:q} --log {log:q}"


rule tabulate:
    input:
        of("tabulate").input,
    output:
        report(
            of("tabulate").output,
            caption="../report/tabulate.rst",
            category="Tables",
        ),
    log:
        of("tabulate").log,
    benchmark:
        of("tabulate").benchmark
    threads: of("tabulate").threads
    resources:
        **of("tabulate").resources,
    params:
        **of("tabulate").params,
    shell:
        "flexbench tabulate --resolved {params.resolved:q} --log {log:q}"


rule figure:
    input:
        of("figure").input,
    output:
        [
            report(
                path,
                caption="../report/figure.rst",
                category="Figures",
                subcategory="{case}",
                labels={"figure": "{name}", "format": path.suffix[1:].upper()},
            )
            for path in of("figure").output
        ],
    log:
        of("figure").log,
    benchmark:
        of("figure").benchmark
    threads: of("figure").threads
    resources:
        **of("figure").resources,
        slots=1,
    params:
        **of("figure").params,
    shell:
        "flexbench figure {wildcards.case} {wildcards.name}"
        " --resolved {params.resolved:q} --log {log:q}"


rule animation:
    input:
        of("animation").input,
    output:
        report(
            of("animation").output,
            caption="../report/animation.rst",
            category="Figures",
            subcategory="{case}",
            labels={"figure": "{name}", "format": "GIF"},
        ),
    log:
        of("animation").log,
    benchmark:
        of("animation").benchmark
    threads: of("animation").threads
    resources:
        **of("animation").resources,
        slots=1,
    params:
        **of("animation").params,
    shell:
        "flexbench figure {wildcards.case} {wildcards.name}"
        " --resolved {params.resolved:q} --log {log:q}"


rule report:
    input:
        of("report").input,
    output:
        report(of("report").output, caption="../report/report.rst", category="Report"),
    log:
        of("report").log,
    benchmark:
        of("report").benchmark
    threads: of("report").threads
    resources:
        **of("report").resources,
    params:
        **of("report").params,
    shell:
        "flexbench report --resolved {params.resolved:q} --log {log:q}"
