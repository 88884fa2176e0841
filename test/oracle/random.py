#!/usr/bin/env python3
"""Makes random.json: streams of pslib's Random, from an implementation of its own.

xoshiro128** as Blackman & Vigna publish it; the key schedule with the permutation of Chaskey (Mouha et al.
2014), eight rounds after each word; the polar method with the logarithm of Python's decimal module.
Run:  python3 random.py > random.json
"""

import json
import sys
from decimal import Decimal, getcontext

getcontext().prec = 40
MASK = 2**32 - 1


def rotl(x, k):
    return (x << k | x >> (32 - k)) & MASK


def permute(v):
    v0, v1, v2, v3 = v
    for _ in range(8):
        v0 = (v0 + v1) & MASK
        v1 = rotl(v1, 5) ^ v0
        v0 = rotl(v0, 16)
        v2 = (v2 + v3) & MASK
        v3 = rotl(v3, 8) ^ v2
        v0 = (v0 + v3) & MASK
        v3 = rotl(v3, 13) ^ v0
        v2 = (v2 + v1) & MASK
        v1 = rotl(v1, 7) ^ v2
        v2 = rotl(v2, 16)
    return v0, v1, v2, v3


def absorb(key, words):
    for word in words:
        key = permute((key[0] ^ word, *key[1:]))
    return key


def pi_fraction():
    """The first 128 bits of the fraction of pi, by Machin's formula."""
    one = 1 << 192

    def arctan_inverse(n):
        term, total, k = one // n, 0, 0
        while term:
            total += (-1) ** k * term // (2 * k + 1)
            term //= n * n
            k += 1
        return total

    fraction = (4 * (4 * arctan_inverse(5) - arctan_inverse(239)) - 3 * one) >> 64
    return tuple(fraction >> shift & MASK for shift in (96, 64, 32, 0))


def key_of(seed, labels):
    key = absorb(pi_fraction(), (seed & MASK, seed >> 32))
    for label in labels:
        if isinstance(label, int):
            key = absorb(key, (1, label & MASK, label >> 32))
        else:
            units = label.encode("utf-16-le")
            codes = [units[i] | units[i + 1] << 8 for i in range(0, len(units), 2)]
            key = absorb(key, (2, len(codes), *codes))
    return key


def xoshiro128starstar(key):
    s = list(key)
    while True:
        yield rotl(s[1] * 5 & MASK, 7) * 9 & MASK
        t = s[1] << 9 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 11)


def normals(words):
    while True:
        x = 2 * Decimal(next(words)) / 2**32 - 1
        y = 2 * Decimal(next(words)) / 2**32 - 1
        square = x * x + y * y
        if 0 < square < 1:
            stretch = (-2 * square.ln() / square).sqrt()
            yield float(x * stretch)
            yield float(y * stretch)


def take(count, stream):
    return [next(stream) for _ in range(count)]


def main():
    streams = []
    for seed, labels in [
        (0, []),
        (1, []),
        (2**53 - 1, []),
        (42, ["init", "kernel", 0]),
        (42, ["init", "kernel", 2**40 + 1]),
        (7, ["späte Gewichte 🙂", ""]),
    ]:
        key = key_of(seed, labels)
        streams.append(
            {
                "seed": seed,
                "labels": labels,
                "words": take(12, xoshiro128starstar(key)),
                "normals": take(12, normals(xoshiro128starstar(key))),
            }
        )
    json.dump(streams, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
