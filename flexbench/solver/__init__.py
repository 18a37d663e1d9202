"""Decaying 2-D turbulence: a pseudo-spectral solver of the vorticity equation.

Equation (`navier_stokes`), grid and transforms (`grid`), time integrator (`stepping`), initial
field (`initial`), measures of a field (`diagnostics`) and one run (`simulate`) know of each other
only what they have to.
"""
