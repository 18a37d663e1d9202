"""How the C library hands out the memory of tensors."""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h
# The largest blocks that glibc can keep, the most of them that it may, and by how much it grows.
_LARGEST, _KEPT, _GROWTH = 32 * 2**20, 2**31 - 1, 64 * 2**20


@cache
def keep_freed_memory() -> None:
    """Have the C library keep freed blocks for the next tensors instead of unmapping them.

    Every operation returns a new tensor. By default glibc gives its memory back to the system and
    faults it in again, page by page, which took 40 % of a solver's step at 512^2 and 10 % of a
    training step of FLEX XS. Blocks of more than 32 MiB are still given back. Other C libraries
    have no such switch and are left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in (
        (_MMAP_THRESHOLD, _LARGEST),
        (_TRIM_THRESHOLD, _KEPT),
        (_TOP_PAD, _GROWTH),
    ):
        mallopt(parameter, value)
