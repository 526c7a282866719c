"""The process that `migrate` starts: `python -P -m orchestrator.server.migrate_child`."""

import os
import sys

#: Where the child finds the database: other users may read a command line, but no environment.
URL = "ORCHESTRATOR_DATABASE_URL"
#: The exit code of a refusal; standard output then has its reason.
REFUSED = 3


def main() -> int:
    """Migrate the database, or print why not."""
    from orchestrator.errors import DomainError
    from orchestrator.migration import DatabaseURLWrong, upgrade

    try:
        upgrade(os.environ[URL])
    except (DomainError, DatabaseURLWrong, OSError) as error:
        print(error)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
