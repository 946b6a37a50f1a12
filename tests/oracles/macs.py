"""Multiply-accumulates of transformer encoders, counted by hand from their published shapes."""


def encoder_layer(tokens, hidden, intermediate):
    """Query, key, value and output maps; scores and their weighted sum; the two maps of the MLP."""
    projections = 4 * tokens * hidden * hidden
    attention = 2 * tokens * tokens * hidden
    mlp = 2 * tokens * hidden * intermediate
    return projections + attention + mlp


def bert_classifier(tokens, layers, hidden, intermediate, classes):
    """A BERT classifier: its pooler and its head see the first token only (Devlin et al. 2019)."""
    head = hidden * hidden + hidden * classes
    return layers * encoder_layer(tokens, hidden, intermediate) + head


def vit_classifier(size, patch, layers, hidden, classes, channels=3):
    """A ViT whose head reads the class token (Dosovitskiy et al. 2021)."""
    patches = (size // patch) ** 2
    embedding = patches * channels * patch * patch * hidden
    encoder = layers * encoder_layer(patches + 1, hidden, 4 * hidden)
    return embedding + encoder + hidden * classes


def exit_head(method, tokens, hidden, classes):
    """One head of an early-exit network; only FastBERT's (128 units) sees more than one token."""
    if method == "fastbert":
        attention = 4 * tokens * 128 * 128 + 2 * tokens * tokens * 128
        return tokens * hidden * 128 + attention + 128 * 128 + 128 * classes
    return hidden * hidden + hidden * classes
