"""Who is asking at the moment, so that Stop stops one's own run and nobody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from langgraph.runtime import RunControl


class Running:
    """The runs in progress, by browser tab."""

    def __init__(self) -> None:
        self._controls: dict[str, list[RunControl]] = {}
        self._lock = Lock()

    @contextmanager
    def run(self, tab: str) -> Iterator[RunControl]:
        """Yield the control of a run that begins, known until the block ends."""
        control = RunControl()
        with self._lock:
            self._controls.setdefault(tab, []).append(control)
        try:
            yield control
        finally:
            with self._lock:
                self._controls[tab].remove(control)
                if not self._controls[tab]:
                    del self._controls[tab]

    def stop(self, tab: str) -> int:
        """Ask the runs of a tab to stop between two pieces of work; return how many there are."""
        with self._lock:
            controls = list(self._controls.get(tab, ()))
        for control in controls:
            control.request_drain("stop")
        return len(controls)
