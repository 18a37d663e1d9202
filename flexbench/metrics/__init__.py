"""Scores of sample files: what is measured, per snapshot, and how it is averaged.

Reads files only: no network, no task and no sampler is imported here.
"""
