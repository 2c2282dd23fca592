"""``python -m tests.chaos [CASE ...]``: make faults, and see that nothing is lost by them."""

from __future__ import annotations

import sys

from .run import main

sys.exit(main(sys.argv[1:]))
