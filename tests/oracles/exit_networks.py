"""A network with exits, run one example at a time and one layer at a time, until it leaves.

Obviously right, and for BERT only: the encoder's own modules are called in order, without padding,
and the exit rule is applied as the papers word it. Of ``cascade_exp`` only the heads are used.
"""

import math

import torch


def answers(network, ids):
    """Yield the logits [K] of exit after exit for one sequence of token ids (a list)."""
    bert = network.transformer
    states = bert.embeddings(torch.tensor([ids]))
    for exit, layer in enumerate(bert.encoder.layer):
        out = layer(states)
        states = out if torch.is_tensor(out) else out[0]
        yield network.heads(exit, states, torch.ones(1, len(ids)))[0]


def deebert(network, ids, entropy_threshold):
    """Leave as soon as the entropy (nats) is at most the threshold: (exit from 1, class)."""
    for exit, logits in enumerate(answers(network, ids), start=1):
        p = torch.softmax(logits.double(), dim=0).tolist()
        entropy = -sum(x * math.log(x) for x in p if x > 0)
        if entropy <= entropy_threshold or exit == network.exits:
            return exit, int(logits.argmax())
    raise AssertionError("a network without exits")


def pabee(network, ids, patience):
    """Leave once ``patience`` exits in a row repeated the one before: (exit from 1, class).

    The counter of Zhou et al. 2020, Eq. 4: it grows when an exit agrees with the last one and falls
    to zero otherwise.
    """
    counter, before = 0, None
    for exit, logits in enumerate(answers(network, ids), start=1):
        now = int(logits.argmax())
        counter = counter + 1 if now == before else 0
        before = now
        if counter == patience or exit == network.exits:
            return exit, now
    raise AssertionError("a network without exits")
