"""Whether a tool can run here: its packages, then its weights of the manifest."""

from pathlib import Path

from tools.base import Availability, Tool
from tools.model_files.manifest import manifest
from tools.model_files.store import ModelStore


def ready(tool: Tool, models: Path) -> Availability:
    """Check cheaply whether a tool can run with the weights in a folder; no file is read."""
    own = tool.options.isolation
    if own and own.python:  # what it imports can be seen from there alone
        found = Availability(own.python.is_file(), f"there is no {own.python}", "name a Python")
    else:
        found = tool.available()
    if not found.ok:
        return found
    store, known = ModelStore(models), manifest()
    for name in tool.models.values():
        if name in known and (state := store.state(known[name])) != "here":
            size = f"{known[name].bytes / 1e6:,.0f} MB"
            reason = f"the weights of {name} ({size}) are {state} in {store.folder}"
            return Availability(False, reason, f"reelgraph models get {name}")
    return found
