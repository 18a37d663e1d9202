"""What scores, tables, figures and the report cost."""

from flexbench.graph.judge import drawn
from flexbench.graph.rule import Names
from flexbench.planning.costs.cost import MIB, Cost
from flexbench.planning.facts import RunFacts
from flexbench.planning.rates import Measurement
from flexbench.report.catalogue import FIGURES

# Bytes of a row of text, measured on finished runs.
_SCORE_ROW, _SPECTRUM_ROW, _TABLE_ROW, _COMPARISON_ROW, _MATRIX_ROW = 121, 133, 166, 93, 131
_BOARD_ROW = 220
# The claims as JSON, and as a page; they are as many whatever was run.
_LEDGER = (100_000, 45_000)
# What was found: of a run, of each case and method in the scorecard, and of what flags they have.
_FOUND, _FOUND_CELL, _FOUND_FLAGS = 6_000, 330, 600
# What a case adds to the page besides figures, and each of its methods.
_CASE_TEXT, _METHOD_TEXT = 65_000, 18_000
# Figures on the page are WebP, as text, and a rollout is no GIF: over the bytes of PNG and GIF.
_EMBEDDED = 0.21
_COLUMNS = 7  # of maps, in the catalogue: six methods and the truth
_SCORE_FIELDS = 40  # in multiples of a float32 field
# Maps prepare a task, and so import what tasks need.
_MAPS = 240 * MIB


class ScoreCost(Cost):
    """An ensemble at a time, and a few fields."""

    rule = "score"
    category = "scores"
    receipt, process = 720, 155

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        scored = facts.scored(names["case"])
        rows = scored * facts.score_rows(names["method"], names["case"])
        return [_SCORE_ROW * rows, _SPECTRUM_ROW * scored * (facts.grid // 2)]

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        fixed, per_member = speed.rates.score
        per_point = fixed + per_member * facts.members(names["method"], names["case"])
        return facts.scored(names["case"]) * facts.points * per_point

    def memory(self, facts: RunFacts, names: Names) -> float:
        """The ensemble in single precision, and sorted; and a few fields in double."""
        members = facts.members(names["method"], names["case"])
        return (2.5 * members + _SCORE_FIELDS) * facts.field_bytes


class TabulateCost(Cost):
    """Resamples of every file of scores."""

    rule = "tabulate"
    category = "tables"
    receipt, process = 1600, 165

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        """scores, leads, comparisons, red flags, cost, matrix, leaderboard, headline, claims and
        their page, findings."""
        from flexbench.metrics.definitions import BY_LEAD

        graph = facts.graph
        groups = {case: len(facts.flows(case)) + 1 for case in graph.cases}
        methods = dict.fromkeys((job.case, job.method) for job in graph.jobs)
        rows = sum(
            groups[case] * facts.score_rows(method, case, helpers=False) for case, method in methods
        )
        leads = {case: graph.case(case).settings.leads for case, _ in methods}
        by_lead = sum(len(BY_LEAD) * leads[case] for case, _ in methods if leads[case] > 1)
        shown = {*graph.tasks, *graph.shifted}
        flows = sum(groups[case] - 1 for case, _ in methods if case in shown)
        return [
            _TABLE_ROW * rows,
            _TABLE_ROW * (1 + by_lead),
            _COMPARISON_ROW * 10 * sum(groups[case] for case, _ in methods) // 3,
            2000,
            130 * len(graph.jobs),
            _MATRIX_ROW * 3 * flows,
            _BOARD_ROW * len(methods),
            300 * len(methods),
            *_LEDGER,
            _FOUND
            + _FOUND_CELL * len(graph.config.all_methods) * len(groups)
            # What checks find grows with what is checked.
            + _FOUND_FLAGS * len(methods),
        ]

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        return len(facts.graph.jobs) * speed.rates.tabulate


class FigureCost(Cost):
    """Drawing, which hardly depends on how large the fields are."""

    rule = "figure"
    category = "figures"
    receipt, process = 860, 200

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        """PNG and PDF, in the mean over grids; of maps by their columns."""
        entry = FIGURES[names["name"]]
        if entry.source != "snapshot":
            return list(entry.sizes)
        methods = {job.method for job in facts.graph.jobs_of(names["case"])}
        return [size * (len(methods) + 1) // _COLUMNS for size in entry.sizes]

    def start(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        """The whole verb; of a figure that was not measured, as long as the longest."""
        figures = speed.rates.figures
        return figures.get(names["name"], max(figures.values()))

    def memory(self, facts: RunFacts, names: Names) -> float:
        """Maps hold the whole ensemble of every method."""
        if FIGURES[names["name"]].source != "snapshot":
            return 0.0
        case = names["case"]
        methods = {job.method for job in facts.graph.jobs_of(case)}
        members = sum(facts.members(method, case) for method in methods)
        return _MAPS + (members + 30) * facts.field_bytes


class AnimationCost(FigureCost):
    """A frame for each lead."""

    rule = "animation"

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        leads = facts.graph.case(names["case"]).settings.leads
        return [leads * size for size in FIGURES[names["name"]].sizes]

    def memory(self, facts: RunFacts, names: Names) -> float:
        return 0.0


class ReportCost(Cost):
    """The page with all its figures."""

    rule = "report"
    category = "report"
    receipt, process = 640, 185

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        graph = facts.graph
        text = sum(
            _CASE_TEXT + _METHOD_TEXT * len({job.method for job in graph.jobs_of(case)})
            for case in graph.cases
        )
        shown = 0.0
        for case, name in drawn(graph):
            cost = AnimationCost() if FIGURES[name].animated else FigureCost()
            shown += cost.sizes(facts, {"case": case, "name": name})[0]
        return [round(shown * _EMBEDDED) + text]
