"""The list of tortures."""

from torture.full_disk import full_disk
from torture.fuzz import fuzz
from torture.merges import merges
from torture.run import Torture
from torture.schema import schema
from torture.slow_clients import slow_clients
from torture.stall import stall
from torture.starts import starts

_ALL: tuple[Torture, ...] = (
    Torture(
        "starts", "starts after crashes: that each is ready in 5 s and nothing is lost", starts
    ),
    Torture("full-disk", "a disk of PostgreSQL that fills: that all goes on by itself", full_disk),
    Torture(
        "fuzz", "damaged requests as raw bytes: that each is answered or its connection ends", fuzz
    ),
    Torture("merges", "merges of random histories: that no change of a side is lost", merges),
    Torture("schema", "requests made from the OpenAPI document: that it says all of them", schema),
    Torture(
        "slow-clients",
        "heads, bodies, answers and a log without an end: that others are served",
        slow_clients,
    ),
    Torture("stall", "small requests beside one that is as large and hostile as may be", stall),
)

TORTURES: dict[str, Torture] = {torture.name: torture for torture in _ALL}
