"""Trajectory files: format, reading, patches, degradations, statistics, splits.

The format is written down in `FORMAT.md`; `python -m flexbench.data.check FILE...` checks files.
"""
