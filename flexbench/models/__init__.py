"""Networks of the suite's own: FLEX and the blocks it is made of."""
