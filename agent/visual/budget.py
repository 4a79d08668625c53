"""The token budget: overflow is cut from the visual tokens, never from the text.

The published codes truncate the sequence on the right, where the question is.
"""

from dataclasses import dataclass

from agent.visual.layouts import Layout
from agent.visual.spans import TokenGrid
from tools.errors import InputError


@dataclass(frozen=True, slots=True)
class Budget:
    """The token budget of a model's context.

    Attributes:
        limit: Total tokens.
        text: Tokens of text in the prompt.
        new: Tokens reserved for the answer.
    """

    limit: int
    text: int
    new: int

    @property
    def visual(self) -> int:
        """Tokens left for visual tokens."""
        return self.limit - self.text - self.new


@dataclass(frozen=True, slots=True)
class Fitted:
    """A layout that fits, and how many tokens were cut.

    Attributes:
        layout: Possibly with fewer samples or frames.
        tokens: Number of its visual tokens, M.
        cut: Number of visual tokens cut.
    """

    layout: Layout
    tokens: int
    cut: int


def fit_layout(layout: Layout, grid: TokenGrid, budget: Budget) -> Fitted:
    """Cut samples (or frames, for a layout without samples) until a layout fits.

    Raises:
        InputError: The part that cannot be cut is too long; the text says by how much.
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
