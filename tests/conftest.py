from __future__ import annotations

from hypothesis import settings

# No test asserts a time: a busy machine is no defect.
settings.register_profile("calm", deadline=None)
settings.load_profile("calm")
