"""``python -m tests.histories [mutants|long] ...``: run histories and check them."""

from __future__ import annotations

import sys

from . import hunt, long, run

arguments = sys.argv[1:]
if arguments[:1] == ["mutants"]:
    sys.exit(hunt.main(arguments[1:]))
if arguments[:1] == ["long"]:
    sys.exit(long.main(arguments[1:]))
sys.exit(run.main(arguments))
