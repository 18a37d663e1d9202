"""What x0 may be beside what a network says: the posterior that sampler `calibrated` draws from.

Errors of a network are a Gaussian field of zero mean here. How large they are follows the flow,
point by point (`features`); how they hang together in space is a radial spectrum (`noise`). Both
are fitted on validation snapshots (`fit`) and kept in a file beside the checkpoint (`model`).
Tensors and callables alone: which network it is, and how snapshots are cut into tiles, is the
business of `inference`.
"""
