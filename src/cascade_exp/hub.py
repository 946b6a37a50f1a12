"""Asking the Hugging Face hub quickly, or not at all; every part may import it.

The hub's own client retries a name it cannot look up for most of a minute; a user without a network
should read one line at once. What to load instead is for the callers to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 5.0


def hub_answers() -> bool:
    """True iff one request to the hub gets an answer, whatever its status, within five seconds.

    False without a request where ``HF_HUB_OFFLINE`` is set. Proxies and a mirror (``HF_ENDPOINT``)
    are honoured, since the request goes through the hub's own client.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:  # the client's own exception types differ from version to version
        return False
    return True


def hub_has(repository: str) -> bool:
    """Whether files of a model ``repository`` are in the local cache, or the hub answers.

    True does not promise that the repository exists: the library that asks next finds that out.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=repository, repo_type="model")
    cached = Path(constants.HF_HUB_CACHE, folder).glob("snapshots/*/*")
    return any(cached) or hub_answers()


@contextmanager
def without_hub() -> Iterator[None]:
    """While the block runs, the libraries that load from the hub find it offline."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
