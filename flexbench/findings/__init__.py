"""What a run found, in sentences, computed from its tables: the same wherever they are read.

`make.findings_of` makes them, `output` writes them to `tables/findings.json` and reads them back.
"""
