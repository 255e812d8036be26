"""Why a sign-in through a provider is not accepted."""


class RefusedError(Exception):
    """What came back proves nothing. `reason` is a short word for those who run Relais; nobody else is told it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AwayError(Exception):
    """The provider does not answer, or not in time, or nothing that can be understood. `reason` is as that of RefusedError."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
