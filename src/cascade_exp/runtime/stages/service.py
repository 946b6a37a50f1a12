"""A service behind HTTP as a stage: OpenAI-compatible chat completions, or plain JSON.

Each input is one request; several are under way at once. A request that fails for a reason that may
pass (no connection, a timeout, status 408, 429 or 5xx) is tried again, after a growing wait with
jitter.
"""

from __future__ import annotations

import math
import os
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import numpy as np

from cascade_exp.cascade.pools.logits import Answers
from cascade_exp.cascade.stages import Ints
from cascade_exp.errors import CascadeError, choice, one_line
from cascade_exp.runtime.chunk import Chunk
from cascade_exp.runtime.stages.base import Output, Outputs, RunningStage
from cascade_exp.runtime.stages.function import OnError, number_of, output_of, together

MAY_PASS = (408, 429, 500, 502, 503, 504)
LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Service:
    """How a service is asked, and what its answers mean.

    Attributes:
        url: where requests are posted: of ``chat`` the whole address, ending in
            ``/chat/completions``.
        classes: the names of the classes, in the order of their numbers.
        style: ``chat`` sends ``prompt`` as a message of the user, asks for log-probabilities and
            expects a class name; ``json`` sends ``{"text": …, "text_pair": …}`` and expects
            ``{"answer": …, "confidence": …}``, ``{"logits": […]}`` or ``{"probabilities": […]}``.
        model: of ``chat``, the model to ask for.
        prompt: of ``chat``, with ``{text}``, ``{text_pair}`` and ``{classes}`` filled in.
        confidence: of ``chat``: ``logprobs``, the probability of the answer's tokens, or ``none``,
            for a last stage, whose confidence nothing reads.
        key_variable: the environment variable that holds the key; none is sent where it is None.
        timeout: seconds for one attempt. retries: further attempts after the first.
        wait: seconds before the second attempt; doubled for each further one, times 0.5 to 1.5.
        parallel: requests under way at once.
        on_error: what a request that failed for good does: ``raise``, or have the input answered by
            the stage before (at the first stage: set aside).

    Raises:
        CascadeError: for a value that cannot be, or a key that is not in the environment.
    """

    url: str
    classes: tuple[str, ...]
    style: Literal["chat", "json"] = "chat"
    model: str | None = None
    prompt: str = "{text}\nAnswer with one of: {classes}."
    confidence: Literal["logprobs", "none"] = "logprobs"
    key_variable: str | None = None
    timeout: float = 30.0
    retries: int = 3
    wait: float = 0.5
    parallel: int = 8
    on_error: OnError = "raise"

    def __post_init__(self) -> None:
        choice(self.style, ("chat", "json"), "style")
        choice(self.confidence, ("logprobs", "none"), "confidence")
        choice(self.on_error, ("raise", "previous"), "on_error")
        if not self.url.startswith(("http://", "https://")):
            raise CascadeError(f"url={self.url}: expected an address, http:// or https://")
        if self.style == "chat" and not self.model:
            raise CascadeError("model: expected the name of the model to ask for")
        if not (self.timeout > 0 and self.wait >= 0 and self.retries >= 0 and self.parallel >= 1):
            raise CascadeError(
                f"timeout={self.timeout}, wait={self.wait}, retries={self.retries}, "
                f"parallel={self.parallel}: expected above 0, 0 or more, 0 or more, at least 1"
            )
        if self.key_variable is not None and not os.environ.get(self.key_variable):
            raise CascadeError(f"key_variable={self.key_variable}: not set in the environment")


class ServiceStage(RunningStage):
    """A :class:`Service` as the stage ``name``."""

    def __init__(self, name: str, service: Service) -> None:
        self.name = name
        self.service = service
        self.classes = tuple(service.classes)
        self.falls_back = service.on_error == "previous"

    def run(self, chunk: Chunk, rows: Ints) -> Outputs:
        """The service's answers to ``rows``.

        Raises:
            CascadeError: if a request fails for good and ``on_error=raise``.
        """
        service = self.service
        headers = {}
        if service.key_variable is not None:
            headers["Authorization"] = f"Bearer {os.environ[service.key_variable]}"
        found: list[Output] = []
        kept: list[int] = []
        failed: dict[int, str] = {}
        with (
            httpx.Client(timeout=service.timeout, headers=headers) as client,
            ThreadPoolExecutor(service.parallel) as threads,
        ):
            asked = [
                (row, threads.submit(self._answer, client, chunk.items[row]))
                for row in rows.tolist()
            ]
            try:
                for row, answer in asked:
                    try:
                        found.append(answer.result())
                        kept.append(row)
                    except CascadeError as error:
                        if not self.falls_back:
                            raise
                        failed[row] = one_line(error)
            finally:
                for _, answer in asked:
                    answer.cancel()
        output = together(self.name, found)
        return Outputs(
            np.array(kept, dtype=np.int64), {self.name: output}, {self.name: len(rows)}, failed
        )

    def _answer(self, client: httpx.Client, item: object) -> Output:
        texts = item if isinstance(item, tuple) else (item,)
        if not texts or len(texts) > 2 or not all(isinstance(text, str) for text in texts):
            raise CascadeError(f"{self.name}: found {type(item).__name__}, expected text")
        text, pair = texts[0], texts[1] if len(texts) == 2 else None
        found = self._post(client, self._request(text, pair))
        try:
            if self.service.style == "chat":
                return self._of_chat(found)
            return self._of_json(found)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise CascadeError(
                f"{self.name}: {self.service.url}: an answer of another form "
                f"({type(error).__name__}: {one_line(error)}): {one_line(str(found))[:200]}"
            ) from None

    def _request(self, text: str, pair: str | None) -> dict[str, Any]:
        service = self.service
        if service.style == "json":
            return {"text": text} if pair is None else {"text": text, "text_pair": pair}
        filled = {"text": text, "text_pair": pair or "", "classes": ", ".join(service.classes)}
        prompt = re.sub(r"\{(text_pair|text|classes)\}", lambda at: filled[at[1]], service.prompt)
        request: dict[str, Any] = {
            "model": service.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
        }
        return request | ({"logprobs": True} if service.confidence == "logprobs" else {})

    def _post(self, client: httpx.Client, request: dict[str, Any]) -> Any:
        service = self.service
        for attempt in range(service.retries + 1):
            asked: float | None = None
            try:
                response = client.post(service.url, json=request)
                if response.is_success:
                    return response.json()
                reason = f"status {response.status_code}: {one_line(response.text)[:200]}"
                if response.status_code not in MAY_PASS:
                    break
                asked = _seconds(response.headers.get("retry-after"))
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {one_line(error)}"
            except ValueError as error:
                reason = f"no JSON: {one_line(error)}"
                break
            if attempt < service.retries:
                wait = service.wait * 2**attempt * random.uniform(0.5, 1.5)
                time.sleep(min(max(wait, asked or 0.0), LONGEST_WAIT))
        attempts = f"{attempt + 1} attempt{'s' if attempt else ''}"
        raise CascadeError(f"{self.name}: {service.url}: {reason} ({attempts})")

    def _of_chat(self, found: Any) -> Output:
        said = found["choices"][0]
        number = self._class_in(str(said["message"]["content"]))
        if self.service.confidence == "none":
            return Answers(np.array([number]), np.zeros(1), scored=False)
        tokens = (said.get("logprobs") or {}).get("content")
        if not tokens:
            raise CascadeError(
                f"{self.name}: {self.service.url}: gives no log-probabilities, so its answers have "
                "no confidence; confidence=none is enough for a last stage"
            )
        total = sum(float(token["logprob"]) for token in tokens)
        return output_of(self.name, ([number], [math.exp(min(total, 0.0))]), 1, self.classes)

    def _class_in(self, text: str) -> int:
        """The number of the class that the text is, or the only one that it names."""
        plain = text.strip().strip(".\"'`").casefold()
        folded = [name.casefold() for name in self.classes]
        if plain in folded:
            return folded.index(plain)
        named = [
            number
            for number, name in enumerate(folded)
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", plain)
        ]
        if len(named) != 1:
            raise CascadeError(
                f"{self.name}: answered '{one_line(text)[:80]}', expected one of "
                f"{', '.join(self.classes)}"
            )
        return named[0]

    def _of_json(self, found: Any) -> Output:
        if "logits" in found:
            return output_of(self.name, [found["logits"]], 1, self.classes)
        if "probabilities" in found:
            shares = np.asarray(found["probabilities"], dtype=np.float64)
            if shares.ndim != 1 or (shares < 0).any() or not 0.99 < shares.sum() < 1.01:
                raise ValueError("probabilities that are no distribution")
            logs = np.log(np.maximum(shares, np.finfo(np.float64).tiny))
            return output_of(self.name, [logs], 1, self.classes)
        answer = number_of(self.name, found["answer"], self.classes)
        return output_of(self.name, ([answer], [found["confidence"]]), 1, self.classes)


def _seconds(given: str | None) -> float | None:
    """What a Retry-After header in seconds says; one with a date is not followed."""
    try:
        return None if given is None else max(float(given), 0.0)
    except ValueError:
        return None
