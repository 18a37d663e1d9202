"""Trained networks that stand in the repository: `share` puts them there, `attempt` uses them."""
