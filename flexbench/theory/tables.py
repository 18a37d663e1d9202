"""The CSV tables of what theory says, measured."""

from flexbench.metrics.tables import Table

# What a network may generate: the residual to the base, or the field itself.
SPACES = ("residuals", "fields")

# What both are divided by: the standard deviation of the field, or each by its own.
SCALINGS = ("equal", "unit")

# data/targets_<task>.csv: a row for each training trajectory, space, scaling and time t. variance:
# of x0; target_variance: of v = alpha eps - sigma x0; optimal_velocity: mean square of the best
# velocity that there is for Gaussian data of the same spectrum.
TARGETS = Table(
    columns=(
        *("trajectory", "reynolds", "space", "scaling", "t"),
        *("variance", "target_variance", "optimal_velocity"),
    ),
    made_by="targets",
)

# checkpoints/<training>/<method>/seed<k>.gradients.csv: a row for each moment of the training, a
# part of its steps. squared_norm: |G|^2; trace: tr(Sigma) of one patch; noise_scale: their ratio,
# in patches.
GRADIENTS = Table(
    columns=(
        *("training", "method", "training_seed", "moment", "step"),
        *("batches", "squared_norm", "trace", "noise_scale"),
    ),
    made_by="gradients",
)
