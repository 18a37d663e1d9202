"""Ensembles of a case's trajectories, drawn snapshot by snapshot into one file of one schema."""
