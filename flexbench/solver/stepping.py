"""Time integration of any dy/dt = L y + N(y), with L diagonal."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


class IntegratingFactorRK4:
    """Fourth-order Runge-Kutta of exp(-L t) y (Lawson 1967): exact where N vanishes.

    linear: the diagonal of L, float64, of the state's shape.
    nonlinear: writes N(state) into its second argument; must not change the state.
    state: a tensor like those to be stepped, for the buffers.
    """

    order = 4

    def __init__(
        self, *, linear: Tensor, nonlinear: Callable[[Tensor, Tensor], None], state: Tensor
    ):
        self._linear = linear
        self._nonlinear = nonlinear
        self._dt = math.nan
        self._half = torch.empty_like(state)
        self._slope = torch.empty_like(state)
        self._stage = torch.empty_like(state)
        self._total = torch.empty_like(state)

    def step(self, state: Tensor, dt: float) -> None:
        """Advance `state` by `dt`, in place.

        With E = exp(L dt / 2): a = E (y + dt/2 N(y)), b = E y + dt/2 N(a), c = E (E y + dt N(b)),
        y <- E (E (y + dt/6 N(y)) + dt/3 (N(a) + N(b))) + dt/6 N(c).
        """
        if dt != self._dt:
            self._half.copy_(torch.exp(self._linear * (dt / 2)))
            self._dt = dt
        half, slope, stage, total = self._half, self._slope, self._stage, self._total
        self._nonlinear(state, slope)
        state.mul_(half)
        slope.mul_(half)
        torch.add(state, slope, alpha=dt / 6, out=total)
        torch.add(state, slope, alpha=dt / 2, out=stage)
        self._nonlinear(stage, slope)
        total.add_(slope, alpha=dt / 3)
        torch.add(state, slope, alpha=dt / 2, out=stage)
        self._nonlinear(stage, slope)
        total.add_(slope, alpha=dt / 3)
        torch.add(state, slope, alpha=dt, out=stage).mul_(half)
        self._nonlinear(stage, slope)
        torch.mul(total, half, out=state)
        state.add_(slope, alpha=dt / 6)
