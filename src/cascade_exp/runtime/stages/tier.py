"""A tier of models as a stage: all of them for a mean, one after another for a vote.

A vote ends, input by input, once what is still to come can change neither the answer nor whether
the input leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_exp.cascade.pools.logits import Answers
from cascade_exp.cascade.pools.tiers import VOTE, vote, vote_decided
from cascade_exp.cascade.stages import Ints
from cascade_exp.runtime.chosen import ChosenCascade
from cascade_exp.runtime.chunk import Chunk
from cascade_exp.runtime.deciding import alone
from cascade_exp.runtime.stages.base import Output, Outputs, RunningStage, taken


class TierStage(RunningStage):
    """The models of one tier, in the pool's order, so that cheap ones run first.

    Args:
        chosen: the cascade. number: which of its stages this is.
        members: what runs each of the tier's models.

    Attributes:
        stops: whether a vote ends once nothing can change it; else every model votes.
    """

    falls_back = False

    def __init__(self, chosen: ChosenCascade, number: int, members: Sequence[RunningStage]) -> None:
        self.chosen = chosen
        self.number = number
        self.name = chosen.stages[number]
        self.members = tuple(members)
        self.stops = True
        self.classes = next((member.classes for member in members if member.classes), ())

    def run(self, chunk: Chunk, rows: Ints) -> Outputs:
        """The vote on ``rows``, or the outputs of all the tier's models."""
        return self._vote(chunk, rows) if self.chosen.combine == VOTE else self._all(chunk, rows)

    def _all(self, chunk: Chunk, rows: Ints) -> Outputs:
        found: dict[str, Output] = {}
        calls: dict[str, int] = {}
        failed: dict[int, str] = {}
        for member in self.members:
            outputs = member.run(chunk, rows)
            stays = np.isin(rows, outputs.rows)
            found = {name: taken(output, stays) for name, output in found.items()}
            found |= outputs.of
            calls |= outputs.calls
            failed |= outputs.failed
            rows = outputs.rows
        return Outputs(rows, found, calls, failed)

    def _vote(self, chunk: Chunk, rows: Ints) -> Outputs:
        last = self.number == len(self.chosen.stages) - 1
        threshold = None if last else self.chosen.thresholds[self.number]
        members = len(self.members)
        size = len(chunk.items)
        answer, votes = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        calls: dict[str, int] = {member.name: 0 for member in self.members}
        failed: dict[int, str] = {}
        done: list[Ints] = [rows[:0]]
        voters = np.zeros((0, len(rows)), dtype=np.int64)
        scores = np.zeros((0, len(rows)))
        for member in self.members:
            outputs = member.run(chunk, rows)
            calls |= outputs.calls
            failed |= outputs.failed
            stays, rows = np.isin(rows, outputs.rows), outputs.rows
            (output,) = outputs.of.values()
            own = alone(self.chosen, member.name, output)
            voters = np.vstack([voters[:, stays], own.prediction])
            scores = np.vstack([scores[:, stays], own.confidence])
            known = np.full(len(rows), len(voters) == members)
            if self.stops:
                known |= vote_decided(voters, members, threshold, self.chosen.compare)
            named, share = vote(voters[:, known], scores[:, known])
            answer[rows[known]] = named
            votes[rows[known]] = np.rint(share * len(voters))
            done.append(rows[known])
            rows, voters, scores = rows[~known], voters[:, ~known], scores[:, ~known]
            if not len(rows):
                break
        voted = np.sort(np.concatenate(done))
        tier = Answers(answer[voted], votes[voted] / members)
        return Outputs(voted, {self.name: tier}, calls, failed)
