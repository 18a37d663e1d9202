"""flexbench: an open benchmark of diffusion models for turbulent flow."""

__version__ = "0.1.0"

# Raised whenever scores of two versions may no longer share a table.
BENCHMARK_VERSION = 1
