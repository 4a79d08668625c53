"""Errors by whose fault they are: the message says what was got and how to mend it.

They end a run or, raised inside a tool, become that tool's channel report.
"""


class ReelgraphError(Exception):
    """Base of every error that the program raises on purpose; its text is fit for a user."""

    exit_code = 1


class InputError(ReelgraphError):
    """The user's input: a file, a question, an option or a profile key that cannot be used."""

    exit_code = 2


class MissingError(ReelgraphError):
    """A package, a model's weights or a server that is not there; the text names the remedy."""


class StorageError(ReelgraphError):
    """The library cannot be read or written: full disk, read-only folder, foreign file."""


class DeletedError(StorageError):
    """The video was deleted from the library while something worked on it."""

    def __init__(
        self,
        message: str = "the video was deleted from the library while it was indexed; "
        "ask or index again to look at it anew",
    ) -> None:
        super().__init__(message)


class StoppedError(ReelgraphError):
    """The user pressed Stop; what was found so far is discarded."""

    def __init__(self, message: str = "stopped by the user") -> None:
        super().__init__(message)
