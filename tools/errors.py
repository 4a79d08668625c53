"""Errors by whose fault they are: the message says what was got and how to mend it.

They end a run or, raised inside a tool, become that tool's channel report.
"""


class ReelgraphError(Exception):
    """Base of every error that the program raises on purpose; its text is fit for a user."""

    exit_code = 1


class InputError(ReelgraphError):
    """The user's input: a file, a question, an option or a profile key that cannot be used."""

    exit_code = 2


class ChangedError(InputError):
    """A file is no longer what it was when the run was planned; the run cannot go on."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was changed or removed while the video was being looked at; ask again, and "
            f"what was finished is kept"
        )


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
