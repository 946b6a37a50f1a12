"""Label smoothing and Gatekeeper's loss as loops over the batch."""

import math

from tests.oracles.dar import softmax


def smoothed_by_hand(logits, labels, epsilon):
    """Cross-entropy with targets (1-ε)·onehot + ε/K."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        p = softmax(row)
        for k, p_k in enumerate(p):
            target = (1 - epsilon) * (k == label) + epsilon / len(row)
            total -= target * math.log(p_k)
    return total / len(labels)


def gatekeeper_by_hand(logits, labels, alpha):
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        p = softmax(row)
        if row.index(max(row)) == label:
            total += alpha * -math.log(p[label])
        else:
            total += (1 - alpha) * sum(p_k * math.log(p_k * len(p)) for p_k in p)
    return total / len(labels)
