"""The list of tortures."""

from torture.run import Torture

_ALL: tuple[Torture, ...] = ()

TORTURES: dict[str, Torture] = {torture.name: torture for torture in _ALL}
