"""Faults, made on purpose and one by one, with the checker of histories as judge."""

from __future__ import annotations

import sys
from pathlib import Path

# What the tests share lies beside this package, as modules at the top level.
sys.path.insert(0, str(Path(__file__).parent.parent))
