"""What a person sees of a run: one live line, how long it still takes, and what failed and why."""
