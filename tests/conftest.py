"""What every test shares: no deadline, as no timing decides a test; a W&B service of its own."""

import pytest
from hypothesis import settings

settings.register_profile("cascade_exp", deadline=None)
settings.load_profile("cascade_exp")


@pytest.fixture(autouse=True)
def no_service_for_subprocesses(monkeypatch):
    """Give commands that a test starts a W&B service of their own, as a user's commands have.

    W&B leaves the address of its service in the environment; a command that shared it and was
    killed would leave its run open there, for as long as the tests run.
    """
    monkeypatch.delenv("WANDB_SERVICE", raising=False)
