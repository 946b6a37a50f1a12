"""Whether the Hugging Face hub can be asked, found out in seconds and without a page of retries."""

from __future__ import annotations

from pathlib import Path


def hub_has(repository: str) -> bool:
    """Whether files of ``repository`` are in the local cache, or the hub can be reached for them.

    True does not promise that the repository exists: the library that asks next finds that out.
    """
    from huggingface_hub import constants, get_session
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=repository, repo_type="model")
    if any(Path(constants.HF_HUB_CACHE, folder).glob("snapshots/*/*")):
        return True
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=5)
    except Exception:  # the session's errors belong to whichever HTTP library the hub uses
        return False
    return True
