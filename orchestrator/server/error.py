"""Why `orchestrator serve` refuses or gives up. Each text is one line for the operator."""


class ServeError(Exception):
    """The server cannot run here and now."""


class UsageError(Exception):
    """The server must not run with these options."""


class Stopped(BaseException):
    """A signal to end came while the server was still starting."""
