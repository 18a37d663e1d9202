"""Versions of data and results: what DVC keeps, and how it comes back.

DVC is called as a command, one call at a time, and never inside a rule: it versions bytes,
Snakemake owns the graph.
"""
