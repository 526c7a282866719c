"""The list of tortures."""

from torture.merges import merges
from torture.run import Torture

_ALL: tuple[Torture, ...] = (
    Torture("merges", "merges of random histories: that no change of a side is lost", merges),
)

TORTURES: dict[str, Torture] = {torture.name: torture for torture in _ALL}
