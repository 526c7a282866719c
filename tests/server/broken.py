"""An application that cannot be made: for what the server says when its workers end at once."""


def create_app() -> None:
    raise RuntimeError("This application cannot be made.")
