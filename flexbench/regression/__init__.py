"""Whether a run is worse than a committed reference by more than training seeds differ."""
