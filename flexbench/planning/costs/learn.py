"""What training and sampling cost."""

import math

from flexbench.config import NetworkPrecision
from flexbench.graph import TOGETHER
from flexbench.graph.rule import Names
from flexbench.planning.costs.cost import Cost, hdf5_bytes
from flexbench.planning.costs.data import DEGRADE_FIELDS
from flexbench.planning.facts import RunFacts
from flexbench.planning.rates import Measurement, rate
from flexbench.spec import TRAINING_PASSES

# Beside what autograd keeps: gradients of it and workspace. Without autograd: what a network holds
# at once, as a fraction of what autograd would keep. Measured on small networks, to within half.
_WITH_GRADIENTS = 2.0
_WITHOUT_AUTOGRAD = 0.6
# Of what is held in float32; bfloat16 halves it, except for what stays in float32.
_HELD: dict[NetworkPrecision, float] = {"float32": 1.0, "bfloat16": 0.6}
_LOG_ROW = 165
# Rules whose jobs run networks.
RUNNING_NETWORKS = ("train", "calibrate", "sample", "gradients")
# What an optimiser keeps of each weight. Muon keeps two of what is no matrix, which is little.
_MOMENTS = {"adamw": 2, "lion": 1, "muon": 1}


def on_gpu(facts: RunFacts, speed: Measurement, rule: str) -> bool:
    """Whether a rule's networks run on a GPU: it asks a cluster for one, or has one here."""
    if rule not in RUNNING_NETWORKS:
        return False
    asked: bool = getattr(facts.graph.config.cluster, rule).gpu
    return asked or speed.device == "cuda"


class NetworkCost(Cost):
    """Of whatever runs a network.

    training: whether its speed is that of training steps. starts_as: the rule whose processes are
    timed, as its own start alike.
    """

    state = True
    training: bool
    starts_as: str

    def flops_per_second(self, facts: RunFacts, speed: Measurement, method: str) -> float:
        """Of a method's network: on a GPU, as measured or assumed; on a CPU with the job's own
        threads, which are taken to share the work well."""
        rates, threads = speed.rates, facts.graph.config.threads
        if on_gpu(facts, speed, self.rule) and speed.device != "cuda":
            return rates.gpu
        table = rates.train if self.training else rates.sample
        found = rate(table, method, facts.graph.facts(method).name)
        return found if speed.device == "cuda" else found * threads / speed.threads

    def start(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        method, start = names["method"], speed.rates.start
        if facts.graph.is_formula(method):
            return start["formula"]
        return start.get(f"{self.starts_as}/{method}", start[self.starts_as])


class TrainCost(NetworkCost):
    """Steps, validations, and restart points, whose writing the training waits for."""

    rule = starts_as = "train"
    category = "checkpoints"
    receipt, log, process = 2000, 340, 360
    training = True

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        settings = facts.train(names["method"])
        rows = math.ceil(settings.steps / settings.log_every)
        return [self.checkpoint_bytes(facts, names), _LOG_ROW * rows]

    def checkpoint_bytes(self, facts: RunFacts, names: Names) -> int:
        size = facts.networks[names["training"], names["method"]]
        return size.state_bytes + size.header_bytes

    def restart_bytes(self, facts: RunFacts, names: Names) -> int:
        """One restart point: weights, their average, the optimiser's moments."""
        size = facts.networks[names["training"], names["method"]]
        settings = facts.train(names["method"])
        moments = _MOMENTS[settings.optimizer]
        # Without an average, the weights stand in for it, and are stored once.
        return size.state_bytes * (1 + (settings.ema > 0) + moments)

    def temporary(self, facts: RunFacts, names: Names) -> tuple[int, int]:
        """Two restart points are kept; the third is written before the first is dropped."""
        return 3 * self.restart_bytes(facts, names), 5

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        method = names["method"]
        size, settings = facts.networks[names["training"], method], facts.train(method)
        rows = settings.batch / settings.processes * facts.members_learnt(method)
        validations = math.ceil(settings.steps / settings.validate_every)
        passes = TRAINING_PASSES * settings.steps + validations * settings.validation_batches
        computing = passes * rows * size.forward / self.flops_per_second(facts, speed, method)
        saving = self.restart_bytes(facts, names) / speed.rates.write
        saves = 1 + computing / settings.checkpoint_seconds
        return computing + saves * saving + self.checkpoint_bytes(facts, names) / speed.rates.write

    def memory(self, facts: RunFacts, names: Names) -> float:
        from flexbench.data.patches import MEMORY_BYTES

        training, method = names["training"], names["method"]
        size, settings = facts.networks[training, method], facts.train(method)
        rows = settings.batch // (settings.accumulate * settings.processes)
        rows *= facts.members_learnt(method)
        share = _HELD[settings.precision]
        data = sum(
            size
            for size in (facts.data_bytes("train"), facts.data_bytes("validation"))
            if size <= MEMORY_BYTES
        )
        return (
            self.restart_bytes(facts, names)
            + size.state_bytes  # gradients
            + _WITH_GRADIENTS * share * rows * size.saved_bytes
            + data * len(training.split(TOGETHER))  # each task has its own sampler
        )


class CalibrateCost(NetworkCost):
    """Calls of the network on validation snapshots, and one file of some hundred numbers a time."""

    rule, starts_as = "calibrate", "sample"
    category = "checkpoints"
    receipt, process = 1500, 345
    training = False

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        times, leads = self._times(facts, names), self._leads(facts, names)
        return [700 + (times + leads - 1) * 3_900]

    def temporary(self, facts: RunFacts, names: Names) -> tuple[int, int]:
        """What the network said, of every snapshot at every time."""
        kept = self._snapshots(facts) * self._calls(facts, names)
        return kept * facts.field_bytes, kept + 1

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        case, method = self._case(facts, names), names["method"]
        size, calls = facts.network(case, method), self._calls(facts, names)
        flops = calls * size.denoise + self._encodings(facts, names) * size.encode
        domains = self._snapshots(facts) * facts.tiles(case)
        return domains * flops / self.flops_per_second(facts, speed, method)

    def memory(self, facts: RunFacts, names: Names) -> float:
        """Snapshots, what tells their errors, their encoded conditions, and the network on a
        batch."""
        case, method = self._case(facts, names), names["method"]
        batch = facts.sample.batch
        fields = self._snapshots(facts) * 12 * facts.field_bytes
        conditions = self._snapshots(facts) * (2 if self._leads(facts, names) > 1 else 1)
        encoded = facts.kept_bytes(method, case, conditions=conditions)
        together = min(batch, 2 * facts.tiles(case))
        return fields + encoded + _answering(facts, case, method, together=together)

    def _case(self, facts: RunFacts, names: Names) -> str:
        return facts.graph.fit(names["fit"], names["method"], names["seed"]).case

    def _times(self, facts: RunFacts, names: Names) -> int:
        fit = facts.graph.fit(names["fit"], names["method"], names["seed"])
        denoiser = facts.graph.config.method(fit.method).mode == "denoiser"
        return fit.setting.steps if denoiser else 1

    def _calls(self, facts: RunFacts, names: Names) -> int:
        """From one start: two members at each time of each lead, and at the first lead two of the
        truth between the ends."""
        times = self._times(facts, names)
        return 2 * (times * self._leads(facts, names) + max(times - 2, 0))

    def _encodings(self, facts: RunFacts, names: Names) -> float:
        """From one start: of the condition that two members share, then of each one's own."""
        case, method = self._case(facts, names), names["method"]
        times, starts = self._times(facts, names), self._snapshots(facts)
        asked = times + max(times - 2, 0)
        first = facts.repeats(asked, method, case, conditions=starts)
        later = facts.repeats(times, method, case, conditions=2 * starts)
        return first + 2 * (self._leads(facts, names) - 1) * later

    def _leads(self, facts: RunFacts, names: Names) -> int:
        return facts.graph.fit(names["fit"], names["method"], names["seed"]).setting.leads

    def _snapshots(self, facts: RunFacts) -> int:
        return len(facts.graph.stems("validation")) * facts.graph.config.calibration.snapshots


class SampleCost(NetworkCost):
    """Calls of the network, or of a formula, and the ensembles' bytes."""

    rule = starts_as = "sample"
    category = "samples"
    receipt, process = 1200, 345
    training = False

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        """A file of samples, (S, M, 1, H, W) float32."""
        scored = facts.scored(names["case"])
        return [
            hdf5_bytes(
                chunks=scored * facts.members(names["method"], names["case"]),
                chunk_bytes=facts.field_bytes,
                rank=5,
                fixed=8_100 + 72 * scored,
            )
        ]

    def temporary(self, facts: RunFacts, names: Names) -> tuple[int, int]:
        """A segment for each snapshot."""
        scored, members = facts.scored(names["case"]), facts.members(names["method"], names["case"])
        return scored * members * facts.field_bytes, scored + 1

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        case, method, rates = names["case"], names["method"], speed.rates
        writing = 2 * sum(self.sizes(facts, names)) / rates.write
        if facts.graph.is_formula(method):
            return facts.scored(case) * facts.points * rates.formula + writing
        flops = sampling_flops(facts, case, method)
        return flops / self.flops_per_second(facts, speed, method) + writing

    def memory(self, facts: RunFacts, names: Names) -> float:
        case, method = names["case"], names["method"]
        fields = (3 * facts.members(method, case) + DEGRADE_FIELDS) * facts.field_bytes
        if facts.graph.is_formula(method):
            return fields
        here = facts.graph.case(case)
        together = min(here.sample.batch, facts.tiles(case) * facts.members(method, case))
        running = _answering(facts, case, method, together=together)
        if not facts.draws_whole(case):
            return fields + running
        own = here.settings.leads > 1 and here.settings.feedback == "member"
        conditions = facts.members(method, case) if own else 1
        return fields + running + facts.kept_bytes(method, case, conditions=conditions)


def _answering(facts: RunFacts, case: str, method: str, *, together: int) -> float:
    """Bytes of a trained network that answers for so many patches at once: its weights twice, as
    the file holds them and its own, and what it computes."""
    size, share = facts.network(case, method), _HELD[facts.graph.case(case).sample.precision]
    return 2 * size.state_bytes + _WITHOUT_AUTOGRAD * share * together * size.saved_bytes


def sampling_flops(facts: RunFacts, case: str, method: str) -> float:
    """Of the network, for one file of samples."""
    size, leads = facts.network(case, method), facts.graph.case(case).settings.leads
    denoised = leads * facts.members(method, case) * facts.calls(method, case)
    flops = facts.encodings(method, case) * size.encode + denoised * size.denoise
    return facts.scored(case) // leads * facts.tiles(case) * flops
