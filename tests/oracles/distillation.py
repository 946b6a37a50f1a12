"""Soft targets and matched states, number by number."""

import math

from tests.oracles.dar import softmax


def soft_targets_by_hand(student, teacher, labels, alpha, heat):
    total = 0.0
    for ours, theirs, label in zip(student, teacher, labels, strict=True):
        hard = -math.log(max(softmax(ours)[label], 1e-300))
        p, q = softmax([z / heat for z in theirs]), softmax([z / heat for z in ours])
        soft = sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
        total += (1 - alpha) * hard + alpha * heat**2 * soft
    return total / len(labels)


def patient_by_hand(student, teacher):
    terms = []
    for ours, theirs in zip(student, teacher, strict=True):
        for h, g in zip(ours, theirs, strict=True):
            a, b = (math.sqrt(sum(x * x for x in v)) for v in (h, g))
            terms += [(x / a - y / b) ** 2 for x, y in zip(h, g, strict=True)]
    return sum(terms) / len(terms)
