"""What every test shares: no deadline, as no timing ever decides a test."""

from hypothesis import settings

settings.register_profile("cascade_exp", deadline=None)
settings.load_profile("cascade_exp")

pytest_plugins = ["tests.small_jobs"]
