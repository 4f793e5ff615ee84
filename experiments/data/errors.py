"""Errors about data: each message is one line that names the file or field and what is allowed."""


class DataError(ValueError):
    """A data file or setting that cannot be used. The message is always one line."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))


class DataMissing(DataError):
    """Data that is not there and could not be fetched; the one error a stand-in may answer.

    Args:
      reason: what is missing and why it could not be had, in one clause.
      remedy: what to do about it, in one clause.
    """

    def __init__(self, reason: str, remedy: str):
        super().__init__(f"{reason}; {remedy}")
        self.reason = " ".join(reason.split())
        self.remedy = " ".join(remedy.split())

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, self.remedy)
