"""Which names of files are safe below any folder, wherever they come from; no file is touched."""

import re
from collections.abc import Iterator, Sequence

#: Downloads that have not ended have such names.
PART = re.compile(r"\.pull-[0-9a-f]{32}\.part")
_DRIVE = re.compile(r"[A-Za-z]:")


def name_faults(names: Sequence[str]) -> Iterator[str]:
    """What is wrong with the names of the files of one artifact, a sentence for each fault."""
    from orchestrator.documents.manifest import file_name_violations, repeated_names

    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            yield f"{name!r}: The name is not UTF-8."
            continue
        for broken in file_name_violations(name, ""):
            yield f"{name!r}: {broken.message}"
        if _DRIVE.match(name):
            yield f"{name!r}: Some systems read the beginning as a drive."
        if any(PART.fullmatch(segment) for segment in name.split("/")):
            yield f"{name!r}: A download that has not ended has such a name."
    for broken in repeated_names(names, ""):
        at = int(broken.pointer.split("/")[1])
        yield f"{names[at]!r}: {broken.message}"
