"""In one minute: who wins, by how much, how sure, at what cost, and whether ensembles are right."""

from collections import Counter
from collections.abc import Callable, Iterator

from flexbench.claims.verdict import CANNOT_TELL, EQUIVALENT, FAILS, FEWEST_SEEDS, HOLDS
from flexbench.findings.diffusion import diffusion
from flexbench.findings.evidence import ERROR, Evidence, Ratio
from flexbench.findings.names import listed
from flexbench.findings.results import Sentence
from flexbench.findings.standing import CHANCE, Standing, standing, verdict
from flexbench.findings.uncertainty import other_flows_calibrated, uncertainty
from flexbench.findings.words import amount, counted, larger, percent, plain, smaller
from flexbench.metrics.comparisons import CENTRAL, twin_cases

# Budgets of training that differ by less are one.
_SAME_BUDGET = 0.05
# More tasks than these are left to the scorecard.
TOLD = 3


def in_one_minute(evidence: Evidence) -> list[Sentence]:
    """The sentences, the most important first."""
    parts: tuple[Callable[[Evidence], Iterator[Sentence]], ...] = (
        _winners,
        _sure,
        _cost,
        uncertainty,
        diffusion,
        _other_flows,
        _rollouts,
        _claims,
    )
    return [sentence for part in parts for sentence in part(evidence)]


# --- who wins -------------------------------------------------------------------------------


def main_tasks(evidence: Evidence) -> list[str]:
    """The tasks that are told of; one that differs by `residual` alone is an arm of another."""
    config = evidence.graph.config
    arms = {case for case, _ in twin_cases(config.cases[task] for task in evidence.tasks)}
    return [task for task in evidence.tasks if task not in arms]


def leader(evidence: Evidence, case: str) -> str | None:
    """The network that sentences are about: FLEX, whom the claims are of, or else the best one."""
    learned = evidence.learned(case)
    return CENTRAL if CENTRAL in learned else evidence.best(case, learned, ERROR)


def _winners(evidence: Evidence) -> Iterator[Sentence]:
    tasks = main_tasks(evidence)
    for task in tasks[:TOLD]:
        yield Sentence(about="winner", case=task, text=_winner(evidence, task))
    if len(tasks) > TOLD:
        more = listed([evidence.case(task) for task in tasks[TOLD:]])
        yield Sentence(about="winner", text=f"{more}: see the scorecard.")


def _winner(evidence: Evidence, task: str) -> str:
    name, found = evidence.case(task), standing(evidence, task, ERROR)
    if found is None:
        best = evidence.best(task, evidence.formulas(task), ERROR)
        told = f" The best is {evidence.method(best)}." if best else ""
        return f"{name}: no network was scored.{told}"
    own = evidence.score(task, found.best, ERROR)
    size = f"{percent(own.value)} % of the field" if own else ""
    words = [
        f"{name}: {_ahead(evidence, found)} {evidence.method(found.best)}'s error is "
        f"{size}{_against(evidence, task, found)}."
    ]
    words += _by_crps(evidence, task, found)
    words += _budgets(evidence, task, found)
    return " ".join(words)


def _budgets(evidence: Evidence, task: str, found: Standing) -> list[str]:
    """Of the first two networks, those whose training was not as long as FLEX's."""
    config = evidence.graph.config
    networks = [it for it in evidence.learned(task) if it not in config.submissions]
    if CENTRAL not in networks:
        return []
    usual, told = config.patches_of(CENTRAL), []
    for method in (found.best, *(it.method for it in found.rivals[:1])):
        share = config.patches_of(method) / usual if method in networks else 1.0
        if abs(share - 1) > _SAME_BUDGET:
            told.append(f"{evidence.method(method)} saw {share:.2g} times")
    name = evidence.method(CENTRAL)
    return [f"But {listed(told)} as many patches in training as {name}."] if told else []


def _ahead(evidence: Evidence, found: Standing) -> str:
    best = evidence.method(found.best)
    if not found.rivals:
        return f"{best} is the only network."
    first = found.rivals[0]
    next_one = f"{evidence.method(first.method)}'s error"
    gap = f"{next_one} is {larger(first.ratio)}" if first.ratio else f"{next_one} is larger"
    if found.wins:
        return f"{best} wins. {gap}."
    names = listed([evidence.method(it.method) for it in found.level])
    if all(it.verdict == "may be chance" for it in found.level):
        return f"{best} is ahead, no winner. {gap}, which may be chance with one training each."
    if all(it.verdict == "untested" for it in found.level):
        return f"{best} has the smallest error, but too few flows tell whether it beats {names}."
    return f"undecided between {best} and {names}. {gap}."


def _against(evidence: Evidence, task: str, found: Standing) -> str:
    """The best network beside the best formula."""
    formula = evidence.best(task, evidence.formulas(task), ERROR)
    ratio = evidence.to_formula(task, found.best)
    if formula is None or ratio is None:
        return ", and no formula was run"
    name = f"that of the best formula, {evidence.method(formula)}"
    said = verdict(ratio, trainings=evidence.trainings(task, found.best))
    if said == "better":
        return f", {smaller(ratio)} than {name}"
    if said == "worse":
        return f", {larger(ratio)} than {name}"
    return f" and no better for sure than {name} ({plain(ratio)} times it)"


def _by_crps(evidence: Evidence, task: str, found: Standing) -> list[str]:
    """What the whole ensemble's score says, where it says something else."""
    other = standing(evidence, task, "crps")
    if other is None or not other.rivals:
        return []
    same = other.best == found.best and other.wins == found.wins
    if same:
        return ["CRPS, which judges the whole ensemble, agrees."]
    best = evidence.method(other.best)
    return [f"By CRPS, which judges the whole ensemble, {_won(evidence, other, best)}."]


def _won(evidence: Evidence, found: Standing, best: str) -> str:
    if found.wins:
        return f"{best} wins"
    names = listed([evidence.method(it.method) for it in found.level])
    return f"it is open between {best} and {names}"


def _sure(evidence: Evidence) -> Iterator[Sentence]:
    """Which noise the intervals hold."""
    each = {
        evidence.trainings(task, method)
        for task in main_tasks(evidence)
        for method in evidence.learned(task)
    }
    if not each:
        return
    confidence = f"{evidence.graph.config.score.confidence:.0%}".replace("%", " %")
    flows = counted(evidence.test_flows(main_tasks(evidence)[0]), "test flow")
    data = evidence.graph.config.data
    in_blocks = data is not None and data.has_one_flow
    if in_blocks:
        flows = f"stretches of time of {flows}"
    if not evidence.has_intervals:
        text = f"How sure: no comparison has an interval, which {flows} cannot give."
        yield Sentence(about="sure", text=text)
        return
    flows = f"How sure: intervals ({confidence}, paired) hold the differences between {flows}"
    fewest, most = min(each), max(each)
    if most == 1:
        no = "neither those between flows nor" if in_blocks else "not"
        text = (
            f"{flows}, {no} those between trainings. There is one training each: gaps under about "
            f"{100 * CHANCE:g} % may be chance."
        )
    else:
        count = str(most) if fewest == most else f"{fewest} to {most}"
        few = "" if fewest >= FEWEST_SEEDS else f", fewer than the {FEWEST_SEEDS} that tell it well"
        but = ", but not between flows" if in_blocks else ""
        text = f"{flows} and between trainings{but}: {count} of each network{few}."
    yield Sentence(about="sure", text=text)


# --- at what cost ---------------------------------------------------------------------------


def _cost(evidence: Evidence) -> Iterator[Sentence]:
    """Of one member of a whole field: all calls, on all tiles."""
    for task in main_tasks(evidence)[:1]:
        own = leader(evidence, task)
        if own is None:
            return
        flops = evidence.cost_of(task, own, "flops_per_member")
        if not flops > 0:
            return
        others = [it for it in _kinds(evidence, task) if it != own]
        told = [(it, *_times(evidence, task, own, it)) for it in others]
        computed = [f"{ratio:.2g} times {evidence.method(it)}'s" for it, ratio, _ in told if ratio]
        timed = [f"{ratio:.2g} times {evidence.method(it)}'s" for it, _, ratio in told if ratio]
        text = (
            f"Cost: one member of a whole field takes {evidence.method(own)} "
            f"{amount(flops, 'FLOPs')} ({evidence.case(task)})"
        )
        text += f", {listed(computed)}" if computed else ""
        text += f"; its time is {listed(timed)}" if timed else ""
        yield Sentence(about="cost", case=task, text=f"{text}. Formulas cost next to nothing.")


def _kinds(evidence: Evidence, task: str) -> list[str]:
    """The first method of each network: what others differ in changes no cost, or is an arm's."""
    config = evidence.graph.config
    first: dict[str, str] = {}
    for method in evidence.learned(task):
        name = method if method in config.submissions else config.method(method).network
        first.setdefault(name or method, method)
    return list(first.values())


def _times(evidence: Evidence, task: str, own: str, other: str) -> tuple[float, float]:
    """How many times another network's FLOPs and time; 0 where it is not known."""
    found = []
    for column in ("flops_per_member", "relative_time"):
        above, below = (evidence.cost_of(task, it, column) for it in (own, other))
        found.append(above / below if above > 0 and below > 0 else 0.0)
    return found[0], found[1]


# --- on other flows -------------------------------------------------------------------------


def _other_flows(evidence: Evidence) -> Iterator[Sentence]:
    """The leading network on flows that differ in kind from those of training."""
    cases = [case for case in evidence.cases if case in evidence.graph.shifted]
    paired: dict[str, Ratio] = {}
    for case in cases:
        own = leader(evidence, case)
        ratio = evidence.to_formula(case, own) if own else None
        if ratio is not None:
            paired[case] = ratio
    if not paired:
        if cases:
            yield Sentence(about="flows", text="Other flows: no formula was run beside a network.")
        return
    own = leader(evidence, next(iter(paired)))
    name = evidence.method(own or "")
    verdicts = {
        case: verdict(ratio, trainings=evidence.trainings(case, leader(evidence, case) or ""))
        for case, ratio in paired.items()
    }
    counts = Counter(verdicts.values())
    better, worse = counts["better"], counts["worse"]
    open_ones = len(paired) - better - worse
    results = [f"better than the best formula run there in {better} of {len(paired)} cases"]
    results += [f"worse in {worse}"] if worse else []
    results += [f"open in {open_ones}"] if open_ones else []
    text = f"Other flows: {name} is {listed(results)}"
    farthest = sorted(paired, key=lambda case: paired[case].value)
    text += (
        f": its error is {paired[farthest[0]].value:.2f} times the formula's at best "
        f"({evidence.case(farthest[0])}), {paired[farthest[-1]].value:.2f} times at worst "
        f"({evidence.case(farthest[-1])})."
    )
    words = [text, *_rivals_there(evidence, cases), *other_flows_calibrated(evidence, cases)]
    yield Sentence(about="flows", text=" ".join(words))


def _rivals_there(evidence: Evidence, cases: list[str]) -> Iterator[str]:
    """How often the leading network is ahead of each other one that ran on other flows."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for case in cases:
        own = leader(evidence, case)
        for rival in evidence.learned(case):
            if own is None or rival == own:
                continue
            ratio = evidence.to_best(case, rival, own, ERROR)
            trainings = min(evidence.trainings(case, it) for it in (own, rival))
            said = verdict(ratio, trainings=trainings)
            found.setdefault((own, rival), Counter())[said] += 1
    for (own, rival), counts in found.items():
        results = [
            f"ahead in {counts['worse']} of {counts.total()}",
            f"behind in {counts['better']}",
        ]
        level = counts.total() - counts["worse"] - counts["better"]
        results += [f"not told apart in {level}"] if level else []
        yield f"Against {evidence.method(rival)}, {evidence.method(own)} is {listed(results)}."


def _rollouts(evidence: Evidence) -> Iterator[Sentence]:
    """How far errors grow, and whether energy does."""
    table = evidence.leads
    for case in [it for it in evidence.cases if it in set(table["case"])][:1]:
        own = leader(evidence, case)
        rows = table[(table["case"] == case) & (table["score"] == ERROR)]
        steps = rows[rows["method"] == own].sort_values("lead")
        if own is None or len(steps) < 2:
            return
        first, last = steps["value"].iloc[0], steps["value"].iloc[-1]
        text = (
            f"Rolled out over {steps['lead'].iloc[-1]} steps, {evidence.method(own)}'s error grows "
            f"from {percent(first)} to {percent(last)} % of the field"
        )
        ratio = evidence.to_formula(case, own)
        if ratio is not None:
            said = verdict(ratio, trainings=evidence.trainings(case, own))
            text += f", {_beside(ratio, said)}"
        grown = [
            evidence.method(flag.method)
            for flag in evidence.flags
            if flag.kind in ("energy grows", "energy above the truth") and flag.case == case
        ]
        if grown:
            text += f"; {listed(grown)} end{'s' if len(grown) == 1 else ''} with too much energy"
        yield Sentence(about="rollout", case=case, text=f"{text}.")


def _beside(ratio: Ratio, said: str) -> str:
    mean = "over all steps"
    if said == "better":
        return f"{mean} {smaller(ratio)} than the best formula's"
    if said == "worse":
        return f"{mean} {larger(ratio)} than the best formula's"
    return f"{mean} no better for sure than the best formula's"


# --- what it says of the paper --------------------------------------------------------------


def _claims(evidence: Evidence) -> Iterator[Sentence]:
    claims = evidence.claims["claims"]
    source = f"statements of {evidence.claims['source']}"
    verdicts = {name: own["verdict"] for name, own in claims.items()}
    judged = [
        name
        for name, own in claims.items()
        if any(it["low"] is not None for it in own["comparisons"])
    ]
    if not judged:
        text = (
            f"Of the {len(claims)} {source} this run can judge none; `flexbench claims` tells what "
            "it would take."
        )
    else:
        told = [
            f"{_named([name for name, it in verdicts.items() if it in kinds])} {words}"
            for kinds, words in (((HOLDS, EQUIVALENT), "hold"), ((FAILS,), "do not"))
        ]
        left = sum(it == CANNOT_TELL for it in verdicts.values())
        text = f"Of the {len(claims)} {source}, {told[0]} in this run, {told[1]}, {left} stay open."
    yield Sentence(about="claims", text=text)


def _named(names: list[str]) -> str:
    """Their number, and which they are: "2 (5a and 6a)"."""
    return f"{len(names)} ({listed(names)})" if names else "0"
