"""Settings for the whole suite."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("dev", max_examples=10, deadline=None, suppress_health_check=_quiet)
settings.register_profile(
    "ci", max_examples=25, deadline=None, derandomize=True, print_blob=True, suppress_health_check=_quiet
)
settings.register_profile("thorough", max_examples=500, deadline=None, suppress_health_check=_quiet)
settings.load_profile(os.environ.get("MINIGRAD_PROFILE", "ci"))
