"""Errors by cause: each message says what was wrong and how to fix it.

They end a run or, raised inside a tool, become that tool's channel report.
"""


class ReelgraphError(Exception):
    """Base of all errors raised on purpose; the message is written for the user."""

    exit_code = 1


class InputError(ReelgraphError):
    """The user's input: a file, a question, an option or a profile key that cannot be used."""

    exit_code = 2


class ChangedError(InputError):
    """A file changed after the run was planned; the run cannot continue."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was changed or removed while the video was being looked at; ask again, and "
            f"what was finished is kept"
        )


class MissingError(ReelgraphError):
    """A package, a model's weights or a server is missing; the message names the remedy."""


class StorageError(ReelgraphError):
    """The library cannot be read or written: full disk, read-only folder, foreign file."""


class DeletedError(StorageError):
    """The video was deleted from the library while it was in use."""

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
