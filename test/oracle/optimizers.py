#!/usr/bin/env python3
"""Makes optimizers.json: what each optimizer does over 24 updates, in decimal arithmetic of 60 digits.

Every function below is written from the paper it names, in the paper's own form, not from pslib's code:
Nesterov with its two sequences, FTRL as the minimiser of its sum over all rounds, moments with explicit sums.
Inputs are float32 or float64 numbers, taken exactly. Run:  python3 optimizers.py > optimizers.json
"""

import json
import struct
import sys
from decimal import Decimal, getcontext

getcontext().prec = 60
D = Decimal
STEPS = 24
SHOWN = (1, 2, 3, 12, 24)
ELEMENTS = 10


def float32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def numbers(seed):
    """A linear congruential generator (Knuth's MMIX constants), as numbers in [-1, 1)."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 40) / 2**23 - 1


def gradients(seed):
    """Rows of gradients whose elements have very different sizes; one is often 0, one always."""
    draw = numbers(seed)
    sizes = [1, 0.1, 10, 1e-3, 100, 1e-6, 1, 3, 1, 0]
    rows = []
    for step in range(STEPS):
        row = [next(draw) * size for size in sizes]
        row[7] = abs(row[7])  # never changes sign
        if step % 3 != 2:
            row[8] = 0.0
        rows.append([float32(x) for x in row])
    return rows


def starts(seed):
    draw = numbers(seed)
    return [float32(next(draw)) for _ in range(ELEMENTS)]


def power(base, exponent):
    return D(1) if exponent == 0 else base**exponent


def sgd(start, gs, rates, o):
    """Robbins & Monro 1951: x_{n+1} = x_n - a_n y_n."""
    x, out = start, []
    for g, a in zip(gs, rates):
        x = x - a * g
        out.append((x, []))
    return out


def momentum(start, gs, rates, o):
    """Sutskever et al. 2013, equations 1 and 2."""
    theta, v, out = start, D(0), []
    for g, e in zip(gs, rates):
        v = o["momentum"] * v - e * g
        theta = theta + v
        out.append((theta, [v]))
    return out


def nesterov(start, gs, rates, o):
    """Sutskever et al. 2013, equations 3 and 4; shown is theta + mu v, where the next gradient is taken."""
    mu, theta, v, out = o["momentum"], start, D(0), []
    for g, e in zip(gs, rates):  # g is the gradient at theta + mu v
        v = mu * v - e * g
        theta = theta + v
        out.append((theta + mu * v, [v]))
    return out


def adagrad(start, gs, rates, o):
    """Duchi et al. 2011, figure 1: H_t = delta I + diag(s_t), s_t the 2-norm of the gradients so far."""
    x, out = start, []
    for t in range(1, STEPS + 1):
        square = o["initialAccumulator"] + sum(g * g for g in gs[:t])
        x = x - rates[t - 1] * gs[t - 1] / (o["epsilon"] + square.sqrt())
        out.append((x, [square]))
    return out


def rmsprop(start, gs, rates, o):
    """Tieleman & Hinton 2012, lecture 6e, slide 29, with an epsilon beside the root."""
    rho, x, out = o["rho"], start, []
    for t in range(1, STEPS + 1):
        mean = sum((1 - rho) * power(rho, t - i) * gs[i - 1] ** 2 for i in range(1, t + 1))
        x = x - rates[t - 1] * gs[t - 1] / (mean.sqrt() + o["epsilon"])
        out.append((x, [mean]))
    return out


def adam_moments(gs, t, o):
    """Kingma & Ba 2015, equation 1: the moments as sums over all gradients."""
    b1, b2 = o["beta1"], o["beta2"]
    m = sum((1 - b1) * power(b1, t - i) * gs[i - 1] for i in range(1, t + 1))
    v = sum((1 - b2) * power(b2, t - i) * gs[i - 1] ** 2 for i in range(1, t + 1))
    return m, v, m / (1 - power(b1, t)), v / (1 - power(b2, t))


def adam(start, gs, rates, o):
    """Kingma & Ba 2015, algorithm 1."""
    x, out = start, []
    for t in range(1, STEPS + 1):
        m, v, mhat, vhat = adam_moments(gs, t, o)
        x = x - rates[t - 1] * mhat / (vhat.sqrt() + o["epsilon"])
        out.append((x, [m, v]))
    return out


def adamw(start, gs, rates, o):
    """Loshchilov & Hutter 2019, algorithm 2, line 12, with eta alpha = the rate and lambda = alpha weightDecay."""
    x, out = start, []
    for t in range(1, STEPS + 1):
        m, v, mhat, vhat = adam_moments(gs, t, o)
        eta, alpha = rates[t - 1] / rates[0], rates[0]
        x = x - eta * (alpha * mhat / (vhat.sqrt() + o["epsilon"]) + alpha * o["weightDecay"] * x)
        out.append((x, [m, v]))
    return out


def sign(x):
    return (x > 0) - (x < 0)


def ftrl(start, gs, rates, o):
    """McMahan et al. 2013, section 3.1: the minimiser over w of
        g_{1:t} w + 1/2 sum_s sigma_s (w - w_s)^2 + l1 |w| + 1/2 l2 w^2,   sigma_{1:t} = (beta + sqrt(n_t)) / alpha_t,
    from all rounds anew. The pull of l1 and l2 at a start other than 0 is balanced, so that w_1 is the start.
    """
    ws, sigmas, previous, out = [start], [], D(0), []
    offset = -sign(start) * o["l1"] - o["l2"] * start
    for t in range(1, STEPS + 1):
        n = sum(g * g for g in gs[:t])
        if n == 0:  # no gradient so far: w stays, and the sum has no term yet
            ws.append(start)
            sigmas.append(D(0))
            out.append((start, None))
            continue
        total = (o["beta"] + n.sqrt()) / rates[t - 1]
        sigmas.append(total - previous)
        previous = total
        linear = offset + sum(gs[:t]) - sum(s * w for s, w in zip(sigmas, ws))
        w = D(0) if abs(linear) <= o["l1"] else -(linear - sign(linear) * o["l1"]) / (total + o["l2"])
        ws.append(w)
        out.append((w, [linear, n]))
    return out


def fading(rate):
    return [rate / (1 + t / 8) for t in range(STEPS)]


def rising(rate):
    return [rate * min(1, (t + 1) / 10) for t in range(STEPS)]


ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
CASES = [
    (sgd, {}, 0.1, starts),
    (sgd, {}, fading(0.5), starts),
    (momentum, {"momentum": 0.9}, 0.01, starts),
    (momentum, {"momentum": 0.5}, fading(0.1), starts),
    (nesterov, {"momentum": 0.9}, 0.01, starts),
    (nesterov, {"momentum": 0.99}, rising(0.02), starts),
    (adagrad, {"epsilon": 1e-10, "initialAccumulator": 0}, 0.01, starts),
    (adagrad, {"epsilon": 0.1, "initialAccumulator": 0.1}, fading(0.3), starts),
    (rmsprop, {"rho": 0.9, "epsilon": 1e-8}, 0.001, starts),
    (rmsprop, {"rho": 0.99, "epsilon": 1e-4}, rising(0.05), starts),
    (adam, ADAM, 0.001, starts),
    (adam, {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3}, fading(0.05), starts),
    (adam, {"beta1": 0, "beta2": 0.5, "epsilon": 1e-8}, rising(0.1), starts),
    (adamw, {**ADAM, "weightDecay": 0.01}, 0.001, starts),
    (adamw, {**ADAM, "weightDecay": 0.3}, fading(0.1), starts),
    (ftrl, {"beta": 1, "l1": 0, "l2": 0}, 0.1, None),
    (ftrl, {"beta": 0.5, "l1": 1.5, "l2": 0.1}, 0.5, None),
    (ftrl, {"beta": 1, "l1": 0.2, "l2": 0.05}, fading(0.2), starts),
    (ftrl, {"beta": 2, "l1": 0, "l2": 0}, rising(0.1), starts),
]


def shown(x):
    return float(x)


def case(index, algorithm, options, rate, make_starts):
    rates = rate if isinstance(rate, list) else [rate] * STEPS
    start = make_starts(index + 100) if make_starts else [0.0] * ELEMENTS
    rows = gradients(index + 1)
    exact_options = {key: D(value) for key, value in options.items()}
    columns = [
        algorithm(D(start[i]), [D(row[i]) for row in rows], [D(r) for r in rates], exact_options)
        for i in range(ELEMENTS)
    ]
    return {
        "optimizer": algorithm.__name__,
        "options": options,
        "learningRates": rates,
        "start": start,
        "gradients": rows,
        "parameters": {t: [shown(c[t - 1][0]) for c in columns] for t in SHOWN},
        "slots": [None if c[-1][1] is None else [shown(s) for s in c[-1][1]] for c in columns],
    }


def main():
    cases = [case(index, *each) for index, each in enumerate(CASES)]
    lines = ",\n".join(json.dumps(each) for each in cases)
    sys.stdout.write(f"[\n{lines}\n]\n")


main()
