"""Whether anybody needs to listen: not where what is said is known already.

Subtitles, or a plug-in's transcript, tell what is said cheaply and exactly, and speech recognition
beside them would only say it again. Yet subtitles may hold a few foreign passages alone, and to
take these for all that is said loses the rest for good. Listening in vain costs less: the speech
recogniser hears only what a voice detector takes for speech.
"""

from collections.abc import Iterable, Mapping

from agent.library.store import Library
from tools.evidence import Evidence
from tools.media.video import Video

SPEECH = "speech"  # the kind of evidence that tells what is said
SHARE = 0.1
ENOUGH_S = 10.0


def told_by(video: Video, runs: Mapping[str, int], library: Library) -> list[str]:
    """Return the tools that tell what is said in a video, if they do so well enough.

    Args:
        video: Of the runs.
        runs: Rows of finished runs, by tool.
        library: Holds what they found.
    """
    found = library.view(runs.values()).records
    spoken = [one for one in found if one.kind == SPEECH and not one.data.get("forced")]
    if covered_s(spoken) < enough_s(video.duration_s):
        return []
    return sorted({one.tool for one in spoken})


def enough_s(duration_s: float) -> float:
    """Return how many seconds of a video must have words that nobody needs to listen.

    A tenth of the video: the subtitles of a film stand for a third of it or more, those of its
    foreign passages for a few per cent. At least ten seconds all the same, or half of a video that
    is shorter than twenty: a greeting at the start of a clip says nothing of the rest.
    """
    return max(SHARE * duration_s, min(ENOUGH_S, duration_s / 2))


def covered_s(found: Iterable[Evidence]) -> float:
    """Return the seconds that lie within at least one of the findings."""
    total, end_s = 0.0, 0.0
    for one in sorted(found, key=lambda each: each.start_s):
        total += max(0.0, one.end_s - max(one.start_s, end_s))
        end_s = max(end_s, one.end_s)
    return total
