"""The token budget: what does not fit is cut from the visual tokens, never from the text.

The published codes cut the sequence at its right end, where the question stands.
"""

from dataclasses import dataclass

from agent.visual.layouts import Layout
from agent.visual.spans import TokenGrid
from tools.errors import InputError


@dataclass(frozen=True, slots=True)
class Budget:
    """Places in the context of a model.

    Attributes:
        limit: Tokens in all.
        text: Tokens of text in the prompt.
        new: Tokens kept free for the answer.
    """

    limit: int
    text: int
    new: int

    @property
    def visual(self) -> int:
        """Places left for visual tokens."""
        return self.limit - self.text - self.new


@dataclass(frozen=True, slots=True)
class Fitted:
    """A layout that fits, and how many tokens that took away.

    Attributes:
        layout: Possibly with fewer samples or frames.
        tokens: Visual tokens it makes, M.
        cut: Visual tokens that had to go.
    """

    layout: Layout
    tokens: int
    cut: int


def fit_layout(layout: Layout, grid: TokenGrid, budget: Budget) -> Fitted:
    """Cut samples (or frames, for a layout without samples) until a layout fits.

    Raises:
        InputError: Even what cannot be cut is too much; the text says by how much.
    """
    wanted = layout.tokens(grid)
    fitted = layout.shrunk(grid, max(0, wanted - budget.visual))
    tokens = fitted.tokens(grid)
    if tokens > budget.visual:
        raise InputError(
            f"the layout {layout.name} needs at least {tokens} visual tokens; with {budget.text} "
            f"of text and {budget.new} for the answer that makes "
            f"{tokens + budget.text + budget.new} of the model's {budget.limit}; choose a smaller "
            f"layout, fewer frames, a shorter text, or stretch the model's RoPE"
        )
    return Fitted(fitted, tokens, wanted - tokens)
