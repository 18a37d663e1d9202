"""Time integration of any dy/dt = L y + N(y), with L real and diagonal."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


class IntegratingFactorRK4:
    """Fourth-order Runge-Kutta of exp(-L t) y (Lawson 1967): exact where N vanishes.

    The state is double precision whatever N is computed in: rounded to single, exp(L dt) would be
    1 for every mode that loses less than 6e-8 in a step, and so would any sum that holds so small
    a loss. What N adds in a step is as exact as N.

    linear: the diagonal of L, float64, of the state's shape.
    nonlinear: writes N(state) into its second argument; must not change the state.
    dtype: complex64 or complex128, of what `nonlinear` is given and writes.
    """

    order = 4

    def __init__(
        self, *, linear: Tensor, nonlinear: Callable[[Tensor, Tensor], None], dtype: torch.dtype
    ):
        self._linear = linear
        self._nonlinear = nonlinear
        self._dt = math.nan
        self._stage, self._slope, self._total = (
            torch.empty(linear.shape, dtype=dtype, device=linear.device) for _ in range(3)
        )
        # Factors of real and imaginary parts, as `view_as_real` has them, in both precisions.
        self._decay = torch.empty(*linear.shape, 2, dtype=torch.float64, device=linear.device)
        self._half = self._decay.to(self._stage.real.dtype)

    def step(self, state: Tensor, dt: float) -> None:
        """Advance `state` (complex128) by `dt`, in place.

        With E = exp(L dt / 2): a = E (y + dt/2 N(y)), b = E y + dt/2 N(a), c = E (E y + dt N(b)),
        y <- E E y + dt/6 (E (E N(y) + 2 N(a) + 2 N(b)) + N(c)).
        """
        if dt != self._dt:
            self._decay.copy_(torch.exp(self._linear * (dt / 2))[..., None])
            self._half.copy_(self._decay)
            self._dt = dt
        half = self._half
        y, stage, slope, total = (
            torch.view_as_real(each) for each in (state, self._stage, self._slope, self._total)
        )
        self._nonlinear(state.to(self._stage.dtype), self._total)
        total.mul_(half)
        y.mul_(self._decay)
        start = y.to(half.dtype)
        torch.add(start, total, alpha=dt / 2, out=stage)
        self._nonlinear(self._stage, self._slope)
        total.add_(slope, alpha=2)
        torch.add(start, slope, alpha=dt / 2, out=stage)
        self._nonlinear(self._stage, self._slope)
        total.add_(slope, alpha=2)
        torch.add(start, slope, alpha=dt, out=stage).mul_(half)
        self._nonlinear(self._stage, self._slope)
        slope.addcmul_(total, half)
        y.mul_(self._decay).add_(slope, alpha=dt / 6)
