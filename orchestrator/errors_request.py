"""The refusals of requests for how they are sent, and by whom; HTTP statuses are unknown here."""

from collections.abc import Sequence

from orchestrator.errors import DomainError


class TargetTooLong(DomainError):
    """The address of a request is longer than is read."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The head of a request has at most {limit_bytes} bytes, its target half.")
        self.limit_bytes = limit_bytes


class HeadTooLarge(DomainError):
    """The header fields of a request are more than are read, in number or in bytes."""

    def __init__(self, *, limit: int | None = None, limit_bytes: int | None = None) -> None:
        if limit is not None:
            super().__init__(f"A request has at most {limit} header fields.")
            self.limit = limit
        else:
            super().__init__(f"The head of a request has at most {limit_bytes} bytes.")
            self.limit_bytes = limit_bytes


class UnsupportedMethod(DomainError):
    """The method of a request is none that is known here, for any address."""

    def __init__(self) -> None:
        super().__init__("The method of the request is not known here.")


class UnsupportedVersion(DomainError):
    """The request is in a version of HTTP that is not spoken here."""

    def __init__(self, given: str, supported: Sequence[str]) -> None:
        super().__init__(f"HTTP/{given} is not spoken here: use {' or '.join(supported)}.")
        self.given, self.supported = given, list(supported)


class UnsupportedTransferCoding(DomainError):
    """The body has a transfer coding that this server does not understand."""

    def __init__(self, given: str, supported: Sequence[str]) -> None:
        super().__init__(f"The transfer coding {given!r} is not {' or '.join(supported)}.")
        self.given, self.supported = given, list(supported)


class UnsupportedMediaType(DomainError):
    """The body is of a type that this operation does not read."""

    def __init__(self, given: str, supported: Sequence[str]) -> None:
        super().__init__(f"This operation reads {' or '.join(supported)}, not {given!r}.")
        self.given, self.supported = given, list(supported)


class BodyTooSlow(DomainError):
    """The body, or enough of it, did not arrive before a deadline."""

    def __init__(self, deadline_seconds: float, bytes_min: int | None = None) -> None:
        what = "did not arrive" if bytes_min is None else f"brought less than {bytes_min} bytes"
        super().__init__(f"The request body {what} within {deadline_seconds:g} seconds.")
        self.deadline_seconds = deadline_seconds


class Unauthenticated(DomainError):
    """No valid token came with the request."""


class Forbidden(DomainError):
    """The caller is known, or need not be, and may not do this."""


class RateLimited(DomainError):
    """The caller made more requests of this tier than a window allows."""

    def __init__(
        self, *, tier: str, limit: int, window_seconds: int, count: int, retry_after_seconds: int
    ) -> None:
        super().__init__(
            f"At most {limit} requests of the tier {tier!r} are served in {window_seconds} "
            f"seconds; try again in {retry_after_seconds}."
        )
        self.tier, self.limit, self.window_seconds = tier, limit, window_seconds
        self.current_count, self.retry_after_seconds = count, retry_after_seconds


class IdempotencyKeyReused(DomainError):
    """The key was used before with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The Idempotency-Key {key!r} was used before with another request.")
        self.key = key


class RangeNotSatisfiable(DomainError):
    """The requested bytes are beyond the end."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"The blob has {size_bytes} bytes; none of them is in the range.")
        self.size_bytes = size_bytes
