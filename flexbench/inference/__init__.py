"""Ensembles of the test split: drawn snapshot by snapshot, kept in one file of one schema."""
