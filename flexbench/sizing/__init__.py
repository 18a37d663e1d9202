"""How large a network is, and the width at which it is as large as FLEX.

`sizes` names the numbers, `shapes` says what operations return without doing them, `counting`
counts what a network takes, `crossing` finds where a number passes a target, and `matching` builds
networks as large as FLEX.
"""
