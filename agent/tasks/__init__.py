"""The benchmarks: one file each, read from its published files."""

from importlib import import_module

from agent.evaluation.task import Benchmark
from tools.errors import InputError
from tools.registry import suggest

MODULES = {
    "video-mme": "video_mme",
    "video-mme-v2": "video_mme_v2",
    "mlvu": "mlvu",
    "longvideobench": "longvideobench",
    "lvbench": "lvbench",
    "egoschema": "egoschema",
    "nextqa": "nextqa",
    "nextqa-oe": "nextqa_oe",
    "nextgqa": "nextgqa",
    "intentqa": "intentqa",
    "mvbench": "mvbench",
    "video-bench": "video_bench",
    "charades-sta": "charades_sta",
    "timescope": "timescope",
    "mtvqa": "mtvqa",
    "questions": "questions",
}


def find_benchmark(name: str) -> Benchmark:
    """Return a benchmark. `InputError` names the known ones."""
    if name not in MODULES:
        raise InputError(f"unknown benchmark {name!r}{suggest(name, list(MODULES))}")
    found: Benchmark = import_module(f"agent.tasks.{MODULES[name]}").BENCHMARK
    return found


def benchmarks() -> list[Benchmark]:
    """Return all benchmarks."""
    return [find_benchmark(name) for name in MODULES]
