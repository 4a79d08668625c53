"""IntentQA (Li et al., ICCV 2023): what people intend, on the videos of NExT-QA.

The CSV is that of NExT-QA with further columns; its first one is called `video` or `video_id`.
"""

from agent.evaluation.task import Benchmark
from agent.tasks.nextqa import read

BENCHMARK = Benchmark(
    "intentqa",
    "IntentQA: why people act, on the videos of NExT-QA; ICCV 2023",
    "test.csv or val.csv, with map_vid_vidorID.json beside it",
    read,
)
