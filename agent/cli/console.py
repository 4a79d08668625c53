"""Consoles of every kind: other encodings, narrow windows, closed pipes, full disks."""

import errno
import os
import sys
from typing import Any

from rich.table import Table


def accept_all_text() -> None:
    """Let output replace what the console's encoding lacks with "?", rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def is_unicode() -> bool:
    """Whether standard output can hold any text."""
    return (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "").startswith("utf")


def flush(code: int) -> int:
    """Flush standard output and return the exit code, 1 where that fails.

    A reader that ended early (`reelgraph tools | head`) is no failure to talk about.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        discard()
        if error.errno != errno.EPIPE:
            sys.stderr.write(f"error: {unwritten(error)}\n")
        return code or 1
    return code


def unwritten(error: OSError) -> str:
    """Say that the output could not be written, and what to do."""
    return f"the output cannot be written ({error.strerror}); free space or write it elsewhere"


def discard() -> None:
    """Drop what is still buffered, or the interpreter would fail on it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def plain_table(*headings: str, **options: Any) -> Table:
    """Return a table that folds long words in a narrow window rather than cutting them off."""
    table = Table(box=None, **options)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
