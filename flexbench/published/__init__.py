"""The only numbers of FLEX that its authors' public files can be held against (claim 0)."""
