"""The handwritten digits and the network of examples/digits, in numpy: the same split, parameters and loss.

    images ─ hiddenKernel, hiddenBias ─ tanh ─ outputKernel, outputBias ─ softmax ─ cross-entropy
"""

import gzip
from pathlib import Path
from typing import Iterator

import numpy as np

TEST_COUNT = 360
SPLIT_SEED = 1998
DATA = Path(__file__).parent.parent / "data" / "digits.csv.gz"

Digits = tuple[np.ndarray, np.ndarray]
"""Images of 64 pixels from 0 to 1, one a row, and what was written."""


def training_part(rank: int, count: int) -> Digits:
    """The training digits of worker `rank` of `count`: the same ones as in examples/digits/data.ts."""
    table = np.loadtxt(gzip.open(DATA), delimiter=",", dtype=np.float32)
    training = _shuffled(len(table), SPLIT_SEED)[TEST_COUNT:]
    part = table[training[rank::count]]
    return part[:, :64] / 16, part[:, 64].astype(np.int64)


def shuffled_batches(digits: Digits, size: int, seed: int) -> Iterator[Digits]:
    """Batches without end, in a new random order each epoch."""
    images, labels = digits
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(labels))
        for begin in range(0, len(labels) - size + 1, size):
            chosen = order[begin : begin + size]
            yield images[chosen], labels[chosen]


def gradient(parameters: dict[str, np.ndarray], batch: Digits):
    """Gradients by name, metrics, and the number of examples, by back-propagation."""
    images, labels = batch
    count = len(labels)
    hidden = np.tanh(images @ parameters["hiddenKernel"] + parameters["hiddenBias"])
    logits = hidden @ parameters["outputKernel"] + parameters["outputBias"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    right = probabilities[np.arange(count), labels]
    loss = -np.log(np.maximum(right, 2.0**-149)).mean()

    # For softmax with cross-entropy, d loss / d logits is (probability − 1 for the right digit) / n.
    d_logits = probabilities.copy()
    d_logits[np.arange(count), labels] -= 1
    d_logits /= count
    d_sums = d_logits @ parameters["outputKernel"].T * (1 - hidden**2)
    gradients = {
        "hiddenKernel": images.T @ d_sums,
        "hiddenBias": d_sums.sum(axis=0),
        "outputKernel": hidden.T @ d_logits,
        "outputBias": d_logits.sum(axis=0),
    }
    return gradients, {"loss": float(loss)}, count


def _shuffled(count: int, seed: int) -> list[int]:
    """As shuffledIndices of examples/digits/random.ts: xorshift (Marsaglia 2003), Fisher and Yates."""
    state = (seed + 1) * 0x9E3779B1 & 0xFFFFFFFF or 1

    def draw() -> float:
        nonlocal state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        return state / 2**32

    for _ in range(16):
        draw()
    indices = list(range(count))
    for i in range(count - 1, 0, -1):
        j = int(draw() * (i + 1))
        indices[i], indices[j] = indices[j], indices[i]
    return indices
