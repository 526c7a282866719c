"""Lists of columns of a statement, written in one way."""


def columns(alias: str, *names: str, **renamed: str) -> str:
    """Columns of one table of a statement; `new="old"` gives one another name."""
    listed = [f"{alias}.{name}" for name in names]
    listed += [f"{alias}.{old} AS {new}" for new, old in renamed.items()]
    return ", ".join(listed)
