"""How fast this machine is: measured by small runs of the real steps, for `planning` to go by."""
