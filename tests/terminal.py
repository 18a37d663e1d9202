"""A terminal for commands to run in: what they write to it, and what is on it in the end."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time

# As wide as most are; no test has as many rows.
COLUMNS, ROWS = 100, 40
_SEQUENCE = re.compile(r"\x1b\[(?P<number>\d*)[\d;?]*(?P<kind>[A-Za-z])|\x1b\][^\x07]*\x07")


def run_in_terminal(command, *, timeout=120, **options):
    """(exit code, all that it wrote), of a process that leads a session with a terminal."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(command, start_new_session=True, **streams, **options)
    os.close(theirs)
    written, deadline = b"", time.monotonic() + timeout
    try:
        while True:
            readable, _, _ = select.select([ours], [], [], 1.0)
            assert time.monotonic() < deadline, written.decode(errors="replace")
            if not readable:
                continue
            try:
                part = os.read(ours, 65536)
            except OSError:  # nobody holds the other end any more
                break
            if not part:
                break
            written += part
        return process.wait(timeout=60), written.decode()
    finally:
        if process.poll() is None:
            process.kill()
        os.close(ours)


def lines_of(written, *, fold=True):
    """What is on a terminal that never scrolls, by what was written to it.

    fold: what is longer than its rows goes on in the next, as it does there.
    """
    rows, row, column = [[]], 0, 0
    place = 0
    while place < len(written):
        sign = written[place]
        if sign == "\x1b":
            sequence = _SEQUENCE.match(written, place)
            place = sequence.end()
            kind, number = sequence["kind"], int(sequence["number"] or 0)
            if kind == "A":
                row = max(0, row - max(number, 1))
            elif kind == "K":  # of the whole line, where nothing follows the cursor otherwise
                rows[row] = [] if number == 2 else rows[row][:column]
            else:
                assert kind in (None, "m", "h", "l"), sequence[0]
            continue
        place += 1
        if sign == "\r":
            column = 0
        elif sign == "\n":
            row += 1
            rows += [[] for _ in range(row + 1 - len(rows))]
        else:
            if fold and column == COLUMNS:  # it goes on in the next row
                row, column = row + 1, 0
                rows += [[] for _ in range(row + 1 - len(rows))]
            line = rows[row]
            line += " " * (column + 1 - len(line))
            line[column] = sign
            column += 1
    return ["".join(row).rstrip() for row in rows]
