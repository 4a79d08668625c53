"""Join a Ray cluster, or start one on this machine that no other can notice."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

from agent.settings import Settings
from tools.errors import InputError, MissingError, ReelgraphError

STORE_BYTES = 80 << 20  # of Ray's object store, which holds results on their way; its least
ENVIRON = {  # of a Ray that is started here
    # Ray takes loopback addresses alone where clusters are off, as they are by default on macOS.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_worker_niceness": "0",  # as the local engine's; 15 starves actors beside other programs
}


@dataclass(frozen=True, slots=True)
class Needs:
    """What one worker takes of a node."""

    cpus: int
    gpus: int

    def fit(self, node: dict[str, Any]) -> bool:
        """Whether an empty node is large enough."""
        there = node.get("Resources", {})
        enough = there.get("CPU", 0) >= self.cpus and there.get("GPU", 0) >= self.gpus
        return bool(node["Alive"] and enough)

    def __str__(self) -> str:
        return f"{self.cpus} CPU and {self.gpus} GPU"


def needs_of(settings: Settings, gpus: float) -> Needs:
    """Return what a worker with these settings takes.

    A model on a server leaves one core at work here; models on this machine's cores take
    OMP_NUM_THREADS of them, two by default.

    Args:
        settings: Of the run.
        gpus: In the cluster; `device: auto` takes one if there is any.
    """
    device = settings.device
    gpu = device.startswith("cuda") or (device == "auto" and gpus >= 1)
    on_server = settings.chat.engine == "endpoint"
    return Needs(1 if on_server or gpu else _threads(), int(gpu))


def _threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else 2


def require_ray() -> None:
    """Check that Ray is installed; `MissingError` names what to install."""
    if not find_spec("ray"):
        raise MissingError("the engine ray needs Ray: pip install 'reelgraph[ray]'")


@contextmanager
def joined(address: str, settings: Settings, workers: int) -> Iterator[Needs]:
    """Join a cluster, or start one on this machine with room for all workers; then leave it.

    A connection that exists already is used and kept.

    Args:
        address: As of `ray.init`, for example "auto"; empty to start one.
        settings: Say what a worker needs.
        workers: At most.

    Raises:
        MissingError: Ray is not installed.
        InputError: There is no cluster at the address.
    """
    require_ray()
    import ray

    before = ray.is_initialized()
    if not before and address:
        _join(address)
    elif not before:
        _start(settings, workers)
    try:
        yield needs_of(settings, ray.cluster_resources().get("GPU", 0))
    finally:
        if not before:
            ray.shutdown()


def _join(address: str) -> None:
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise InputError(
            f"no Ray cluster at {address!r}: {first}; start one with ray start --head, or leave "
            f"--address out to work on this machine alone"
        ) from error


def _start(settings: Settings, workers: int) -> None:
    import ray

    with unnoticed():
        ray.init(
            address="local",
            num_cpus=workers * needs_of(settings, 0).cpus,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
        )


@contextmanager
def unnoticed() -> Iterator[None]:
    """Within this, Ray starts on loopback addresses and without its dashboard.

    Even where no dashboard is wanted, its process asks the cloud's metadata server and a resolver
    where it runs.
    """
    from ray._private import ray_constants
    from ray._private.node import Node

    with (
        patch.dict(os.environ, ENVIRON),  # for Ray's processes
        patch.object(ray_constants, "ENABLE_RAY_CLUSTER", False),  # for this one
        patch.object(Node, "start_api_server", lambda self, **given: None),
    ):
        yield


def require_room(needs: Needs) -> None:
    """Check that some node is large enough for a worker; `ReelgraphError` if none is."""
    import ray

    if not any(needs.fit(node) for node in ray.nodes()):
        raise ReelgraphError(
            f"no node of the Ray cluster has {needs}, which one worker needs; add one, or choose "
            f"another profile"
        )


def living_nodes() -> set[str]:
    """Return the ids of the nodes that are there."""
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}
