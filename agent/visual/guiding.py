"""Free Video-LLM: question-guided choice of frames and of regions in them.

Question and frames are compared in the common space of a CLIP dual encoder; the caller passes their
embeddings. The result depends on the question and is not cached.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class QuestionGuidance:
    """Embeddings of a CLIP dual encoder.

    Attributes:
        text: The question, [E].
        frames: One per frame, [T, E].
        patches: One per patch, projected into the common space, [T, n, E].
    """

    text: "Tensor"
    frames: "Tensor"
    patches: "Tensor"

    def best_frames(self, count: int) -> list[int]:
        """Return the positions of the frames nearest to the question, in time order."""
        from torch.nn.functional import cosine_similarity

        nearness = cosine_similarity(self.text, self.frames, dim=-1)
        ranked: list[int] = nearness.argsort(stable=True).tolist()
        return sorted(ranked[-count:])

    def agreement(self, frames: Sequence[int], rows: int, columns: int) -> "Tensor":
        """Return the cosine of question and paired patches, [frames, rows, columns / 2]."""
        from torch.nn.functional import cosine_similarity

        paired = pair_columns(self.patches[list(frames)], rows, columns)
        return cosine_similarity(self.text, paired, dim=-1)


@dataclass(frozen=True, slots=True)
class GridRegion:
    """A region of a token grid; `bottom` and `right` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int


def pair_columns(tokens: "Tensor", rows: int, columns: int) -> "Tensor":
    """Max-pool pairs of neighbours along each row; a last one without neighbour stays.

    Args:
        tokens: [T, rows * columns, D].
        rows: Rows of tokens in a frame.
        columns: Columns of tokens in a frame.

    Returns:
        [T, rows, ceil(columns / 2), D].
    """
    from torch.nn.functional import max_pool2d

    planes = tokens.unflatten(1, (rows, columns)).permute(0, 3, 1, 2)
    return max_pool2d(planes, (1, 2), ceil_mode=True).permute(0, 2, 3, 1)


def best_region(ids: Sequence[int], rows: int, columns: int, share: float) -> GridRegion:
    """Return the box around the mean position of some tokens (`roi_box` of the published code).

    Args:
        ids: Tokens nearest to the question, of rows * columns.
        rows: Rows of tokens.
        columns: Columns of tokens.
        share: Share of the area; each side is scaled by its square root.
    """
    height, width = round(rows * math.sqrt(share)), round(columns * math.sqrt(share))
    middle_row = sum(number // columns for number in ids) // len(ids)
    middle_column = sum(number % columns for number in ids) // len(ids)
    top = min(max(0, middle_row - height // 2), rows - height)
    left = min(max(0, middle_column - width // 2), columns - width)
    return GridRegion(top, top + height, left, left + width)


def regions(tokens: "Tensor", agreement: "Tensor", share: float, parity: bool) -> "Tensor":
    """Crop from each frame the box most similar to the question.

    Args:
        tokens: Paired tokens, [F, rows, columns, D].
        agreement: Cosine of each token with the question, [F, rows, columns].
        share: Share of the area that is kept.
        parity: Index the tokens as the published code does, which takes the 24 rows of 12 paired
            tokens for 12 rows of 24, so that its box is scattered over the picture.

    Returns:
        [F, rows', columns', D].
    """
    import torch

    rows, columns = agreement.shape[1:]
    if parity:
        rows, columns = columns, rows
        tokens = tokens.flatten(1, 2).unflatten(1, (rows, columns))
    count = max(1, int(rows * columns * share))
    best = agreement.flatten(1).topk(count, dim=1).indices.tolist()
    boxes = [best_region(ids, rows, columns, share) for ids in best]
    return torch.stack(
        [
            frame[box.top : box.bottom, box.left : box.right]
            for frame, box in zip(tokens, boxes, strict=True)
        ]
    )
