"""What is left out where Python runs without the GIL."""

from __future__ import annotations

import pytest

from breezeway.worker.gil import has_gil

needs_gil = pytest.mark.skipif(
    not has_gil(), reason="without the GIL nobody may look at what another thread is doing"
)
