"""The ledger of claims: what was claimed, and what a finished run says of it."""
