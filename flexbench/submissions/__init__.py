"""Predictions from elsewhere: what is asked for, what an answer has to be, and how it is taken in.

`request` writes what a case gives to its methods, without the truth; `answer` reads predictions
and refuses what is none; `card` is what is said of who made them; `truth` holds them against what
really happened. The samples that come of it are scored like all others.
"""
