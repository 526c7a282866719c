"""Starts `./dev` behind its shell script: `python -I -S tools COMMAND [ARGUMENT ...]`."""

import sys
from pathlib import Path

INTERRUPTED = 130

try:
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tools.main import main

    sys.exit(main(Path(__file__).parent.parent, *sys.argv[1:]))
except KeyboardInterrupt:
    sys.exit(INTERRUPTED)
