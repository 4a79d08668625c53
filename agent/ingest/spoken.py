"""Whether speech recognition is needed: not where a transcript covers the speech already.

Subtitles, or a plug-in's transcript, are cheap and exact, and speech recognition would only repeat
them. Yet subtitles may cover only a few foreign passages, and taking these for all speech loses the
rest for good. A needless run costs less: speech recognition runs only on segments with voice
activity.
"""

from collections.abc import Iterable, Mapping

from agent.library.store import Library
from tools.evidence import Evidence
from tools.media.video import Video

SPEECH = "speech"  # the kind of evidence with transcripts
PARTIAL = frozenset({"forced", "commentary"})  # marks of what does not tell all that is said
SHARE = 0.1
ENOUGH_S = 10.0


def told_by(video: Video, runs: Mapping[str, int], library: Library) -> list[str]:
    """Return the tools with a transcript of a video, if it covers enough.

    Args:
        video: The video.
        runs: Row ids of finished runs, by tool.
        library: Holds their evidence.
    """
    found = library.view(runs.values()).records
    spoken = [one for one in found if one.kind == SPEECH and not PARTIAL & one.data.keys()]
    if covered_s(spoken) < enough_s(video.duration_s):
        return []
    return sorted({one.tool for one in spoken})


def enough_s(duration_s: float) -> float:
    """Return how many seconds of a video a transcript must cover to replace speech recognition.

    A tenth of the video: the subtitles of a film cover a third of it or more, those of its foreign
    passages a few per cent. But at least ten seconds, or half of a video shorter than twenty: a
    greeting at the start of a clip says nothing about the rest.
    """
    return max(SHARE * duration_s, min(ENOUGH_S, duration_s / 2))


def covered_s(found: Iterable[Evidence]) -> float:
    """Return the seconds covered by at least one of the records."""
    total, end_s = 0.0, 0.0
    for one in sorted(found, key=lambda each: each.start_s):
        total += max(0.0, one.end_s - max(one.start_s, end_s))
        end_s = max(end_s, one.end_s)
    return total
