"""The fit along the sampler's times, whoever answers for the network.

Two members are drawn of every validation snapshot. At each time but the last their x0_hat are
held against the truth where x_t was made of the truth, as the posterior asks for. At the last one
they are what the sampler itself would return: there the noise still to be added is what their
spread lacks of their error, which two members a and b of the truth y tell without bias,
(y - a) (y - b) - (a - b)^2 / 2. So spread equals skill on validation by construction, whatever was
lost on the way.

In a rollout the same is asked again at each lead, of members that go on from their own past. At the
times before the last one they draw as at the first lead: what they cannot know of their own past's
errors is in their spread already. The last step adds what that spread still lacks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from flexbench.diffusion.parametrization import noised
from flexbench.diffusion.sampler import Node, renoised
from flexbench.posterior.features import Features
from flexbench.posterior.fit import Errors, fit_errors, lacking, own
from flexbench.posterior.model import ErrorModel
from flexbench.posterior.noise import margin

# ``ask(number, x, node, name)``: x0_hat (n,C,H,W) of snapshot `number` from x_t (n,C,H,W); names
# are those of no other question.
Ask = Callable[[int, Tensor, Node, str], Tensor]
# ``noise(number, name, around)``: white noise (n,C,H + 2 around,W + 2 around) of a snapshot.
Noise = Callable[[int, str, int], Tensor]


@dataclass(frozen=True)
class Known:
    """A validation snapshot: the truth, as a network gives it, and what tells errors.

    truth: (1,C,H,W), or one for each member, whose pasts differ.
    """

    truth: Tensor
    features: Features


@dataclass(frozen=True)
class Fitted:
    """models: of the errors at each time of the sampler, first to last.

    drawn: x0 (n,C,H,W) of each snapshot's members, as the sampler returns it with these models.
    """

    models: tuple[ErrorModel, ...]
    drawn: list[Tensor]


def fit_path(
    snapshots: Sequence[Known],
    nodes: Sequence[Node],
    *,
    ask: Ask,
    noise: Noise,
    known: Sequence[ErrorModel] = (),
) -> Fitted:
    """Fit the errors at each time of the sampler, but for those times whose models are known.

    known: models of the first times.
    """
    numbered = list(enumerate(snapshots))
    last = len(nodes) - 1
    paths = [noise(number, "initial", 0) for number, _ in numbered]
    found = list(known)
    for step, node in enumerate(nodes):
        answers = [
            it.features.held(ask(number, paths[number], node, f"path {step}"))
            for number, it in numbered
        ]
        if step == last:
            found.append(fit_errors(_errors(snapshots, answers), t=node.t, squares=lacking))
        elif step == len(found):
            direct = answers
            if step > 0:  # at first x_t is noise, whatever the truth
                made = [
                    noised(it.truth, noise(number, f"truth {step}", 0), node.alpha, node.sigma)
                    for number, it in numbered
                ]
                direct = [
                    it.features.held(ask(number, made[number], node, f"truth {step}"))
                    for number, it in numbered
                ]
            found.append(fit_errors(_errors(snapshots, direct), t=node.t, squares=own))
        for number, it in numbered:
            white = noise(number, f"step {step}", margin(periodic=it.features.periodic))
            x0 = found[step].draw(it.features, answers[number], white)
            paths[number] = (
                x0 if step == last else renoised(paths[number], x0, node, nodes[step + 1])
            )
    return Fitted(tuple(found), paths)


def _errors(snapshots: Sequence[Known], answers: Sequence[Tensor]) -> list[Errors]:
    return [
        Errors(features=it.features, x0_hat=x0_hat, errors=it.truth - x0_hat)
        for it, x0_hat in zip(snapshots, answers, strict=True)
    ]
