"""Training-free samplers of `direct`: which frames the model is shown.

even: the middle of equal segments. clusters: the frame nearest to the centre of each k-means
cluster, whatever is asked (the first stage of KTV, arXiv 2602.03615). tree: from coarse to fine
where the question is (VideoTree, arXiv 2405.19209, see `agent.frames.relevance_tree`). The latter
two compare the frames of the library, one a second unless `sampling` says otherwise, by the
image-text encoder.
"""

from typing import Literal

from langgraph.runtime import Runtime

from agent.answer import Meter
from agent.frames.clustering import Vectors, directions, key_frames
from agent.frames.files import frames_at
from agent.frames.relevance_tree import grow_tree
from agent.ingest.frames import ensure_frames
from agent.ingest.picture_vectors import picture_vectors
from agent.models.image_text import ImageTextEncoder
from agent.records import PlannedFrame, Question
from agent.settings import Settings
from agent.state import Context
from tools.errors import InputError
from tools.media.video import Video

Sampler = Literal["even", "clusters", "tree"]


def check_encoder(sampler: Sampler, settings: Settings) -> None:
    """Reject a sampler that compares frames where no image-text encoder is configured."""
    if sampler != "even" and settings.image_encoder.model == "none":
        raise InputError(
            f"direct.sampler={sampler} compares frames by an image-text encoder; name one with "
            f"--set image_encoder.model=NAME, or take direct.sampler=even"
        )


def choose_by_content(
    video: Video,
    question: Question,
    sampler: Sampler,
    most: int,
    runtime: Runtime[Context],
    meter: Meter,
) -> tuple[PlannedFrame, ...]:
    """Return at most `most` frames chosen by what they show, in time order.

    What was chosen is streamed as an event of the stage `look`.

    Raises:
        InputError: No image-text encoder is configured.
        MissingError: Its weights are missing.
    """
    context = runtime.context
    check_encoder(sampler, context.settings)
    encoder = context.pool.image_encoder()
    assert encoder is not None  # for one is configured
    frames = ensure_frames(video, runtime, meter)
    vectors = picture_vectors(
        video, frames, encoder, context.library, lambda: runtime.drain_requested
    )
    if sampler == "tree":
        chosen, why = _tree(vectors, question, most, encoder)
    else:
        chosen = key_frames(vectors, most)
        why = f"the middles of {len(chosen)} clusters"
    runtime.stream_writer(
        {"stage": "look", "chosen": f"{len(chosen)} of {len(vectors)} pictures: {why}"}
    )
    return frames_at(video, [frames.frames[place].start_s for place in chosen])


def _tree(
    vectors: Vectors, question: Question, most: int, encoder: ImageTextEncoder
) -> tuple[tuple[int, ...], str]:
    """Return the frames of a tree for a question, and how it grew."""
    asked = directions(encoder.texts([question.text]))[0]
    tree = grow_tree(vectors, (directions(vectors) @ asked).tolist(), most)
    return tree.frames, f"a tree of {tree.clusters} clusters, {tree.relevant} of them relevant"
