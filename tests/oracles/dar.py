"""Difficulty-aware regularisation as a double loop over the batch."""

import math


def softmax(row):
    highest = max(row)
    terms = [math.exp(value - highest) for value in row]
    return [term / sum(terms) for term in terms]


def dar_by_hand(logits, difficult, margin):
    confidence = [max(softmax(row)) for row in logits]
    terms = []
    for e, e_hard in zip(confidence, difficult, strict=True):
        for h, h_hard in zip(confidence, difficult, strict=True):
            if not e_hard and h_hard:
                terms.append(max(0.0, -(e - h) + margin))
    return sum(terms) / len(terms) if terms else 0.0
