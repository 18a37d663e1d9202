"""What a run will cost, and why it would run, before anything is submitted."""
