"""Print the hash of a password: `python -m breezeway.middleware.basic_auth`."""

from __future__ import annotations

import sys

from breezeway.middleware.basic_auth.passwords import main

sys.exit(main())
