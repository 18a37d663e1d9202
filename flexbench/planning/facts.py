"""The counts that disk, memory and time follow from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from flexbench.config import SampleSettings, TrainSettings
from flexbench.graph import Graph
from flexbench.planning.networks import NetworkSize, network_sizes

FLOAT = 4
# A condition's features, of what autograd keeps of a patch: FLEX's, measured at XXS to S, patch 64,
# to a tenth. Other networks have less, FNO twice as much, and encode for next to nothing.
_ENCODED = 0.035


@dataclass(frozen=True)
class RunFacts:
    """A graph, and the sizes of its networks by (training, method)."""

    graph: Graph
    networks: Mapping[tuple[str, str], NetworkSize]

    @classmethod
    def of(cls, graph: Graph, *, keep: bool = True) -> "RunFacts":
        """keep: whether sizes that are counted may be written below the results' root."""
        return cls(graph, network_sizes(graph, keep=keep))

    def network(self, case: str, method: str) -> NetworkSize:
        """The network that a method has for a case, which may be the name of its training."""
        return self.networks[self.graph.training(case, method), method]

    @property
    def grid(self) -> int:
        return self._own[1] if self._own else self.graph.config.solver.grid

    @cached_property
    def _own(self) -> tuple[int, int] | None:
        """Of own data, the most snapshots that a trajectory will have, and its grid."""
        if self.graph.config.data is None:
            return None
        from flexbench.data.own_data import check_sources

        return check_sources(self.graph.config, self.graph.source_file)

    @property
    def points(self) -> int:
        """Of one field."""
        return self.grid**2

    @property
    def field_bytes(self) -> int:
        return FLOAT * self.points

    @cached_property
    def snapshots(self) -> int:
        """T: stored snapshots of a trajectory."""
        if self._own:
            return self._own[0]
        return self.graph.config.solver.snapshots

    @property
    def trajectory_fields(self) -> int:
        """Bytes of the fields of a trajectory."""
        return self.snapshots * self.field_bytes

    def data_bytes(self, *splits: str) -> int:
        return len(self.graph.stems(*splits)) * self.trajectory_fields

    def scored(self, case: str) -> int:
        """S: scored snapshots of one file of samples, every lead of a rollout one of them."""
        here = self.graph.case(case)
        return len(self.graph.tested(case)) * here.sample.snapshots * here.settings.leads

    def flows(self, case: str) -> set[float]:
        """The Reynolds numbers that a case is scored on."""
        config = self.graph.config
        if config.data is not None:
            return set(config.split("test").reynolds)
        return {run.reynolds for run in self.graph.case(case).runs}

    @property
    def sample(self) -> SampleSettings:
        return self.graph.config.sample

    def train(self, method: str) -> TrainSettings:
        return self.graph.config.train_settings(method)

    def members(self, method: str, case: str | None = None) -> int:
        """M: of the ensembles of a method; formulas and regressors say one thing only.

        case: None: as the tier's own settings have it, for no case in particular.
        """
        sample = self.sample if case is None else self.graph.case(case).sample
        return sample.members if self.graph.is_stochastic(method, case) else 1

    def members_learnt(self, method: str) -> int:
        """Members of each patch that a training step runs the network on."""
        return 2 if self.graph.config.method(method).mode == "crps" else 1

    def calls(self, method: str, case: str | None = None) -> int:
        """Calls of the network per member."""
        from flexbench.diffusion import Draw

        sample = self.sample if case is None else self.graph.case(case).sample
        if self.graph.config.method(method).mode != "denoiser":
            return 1
        return Draw(sampler=sample.sampler, steps=sample.steps).calls

    def encodings(self, method: str, case: str) -> float:
        """How often a tile's condition is encoded, in all leads that follow one another.

        Members share a condition, except where each goes on from its own prediction, after the
        first lead. A condition of stitched tiles is encoded once, and one of blended tiles, for
        every group of members that fits into memory, if its features do, too; otherwise at every
        call, and again for members that do not fit into a batch.
        """
        here = self.graph.case(case)
        members, sample, leads = self.members(method, case), here.sample, here.settings.leads
        feeds_back_members = here.settings.feedback == "member"
        if not self.draws_whole(case):
            return 1 + (leads - 1) * (members if feeds_back_members else 1)

        from flexbench.inference.predictors import DOMAIN_BYTES
        from flexbench.methods import chunks

        calls, together = self.calls(method, case), max(1, DOMAIN_BYTES // self.field_bytes)
        groups = [min(together, members - first) for first in range(0, members, together)]
        shared = own = 0.0
        for group in groups:
            spans = sum(len(it) for _, it in chunks(1, group, sample.batch))
            shared += self.repeats(calls * spans, method, case)
            own += group * self.repeats(calls, method, case, conditions=group)
        return shared + (leads - 1) * (own if feeds_back_members else shared)

    def repeats(self, asked: int, method: str, case: str, *, conditions: int = 1) -> float:
        """How often each of so many conditions of a domain is encoded, in the mean, where its
        features are asked for so often: of those that there is room for, once."""
        from flexbench.inference.tiles import ENCODED_BYTES

        size = self._encoded_bytes(method, case, conditions)
        kept = 1.0 if size <= ENCODED_BYTES else ENCODED_BYTES / size
        return kept + (1 - kept) * asked

    def kept_bytes(self, method: str, case: str, *, conditions: int) -> float:
        """What the features of so many conditions of a domain take, as far as they are kept."""
        from flexbench.inference.tiles import ENCODED_BYTES

        return min(ENCODED_BYTES, self._encoded_bytes(method, case, conditions))

    def _encoded_bytes(self, method: str, case: str, conditions: int) -> float:
        own = self.network(case, method).saved_bytes * _ENCODED
        return conditions * self.tiles(case) * own

    def draws_whole(self, case: str) -> bool:
        """Whether a network is asked for a whole domain at every step, and not tile by tile."""
        sample = self.graph.case(case).sample
        return bool(sample.overlap) or sample.is_fitted

    def tiles(self, case: str) -> int:
        """Tiles that one field is drawn in."""
        from flexbench.inference.tiles import tile_starts

        settings, overlap = self.graph.task_settings(case), self.graph.case(case).sample.overlap
        data = self.graph.config.data
        starts = tile_starts(
            self.grid,
            patch=settings.patch,
            overlap=overlap,
            periodic=data is None or data.is_periodic,
            align=settings.align,
        )
        return len(starts) ** 2

    def score_rows(self, method: str, case: str, *, helpers: bool = True) -> int:
        """Rows that the scores of one snapshot have; helpers: with those that no table shows."""
        from flexbench.metrics.definitions import rows_per_snapshot

        return rows_per_snapshot(
            members=self.members(method, case),
            bands=self.graph.config.score.bands,
            tiled=self.graph.is_trained(method),
            helpers=helpers,
        )
