"""Checks similarities against NumPy and widths against SciPy.

    python allocation.py CASE.json

The case holds features of layers with the similarities that nap computes of them, and programmes with the shares
that nap finds. Fails when a similarity differs by more than 1e-6, or a share by more than 1 %.
"""

import json
import sys

import numpy as np
from scipy.optimize import minimize


def centered(k):
    n = len(k)
    h = np.eye(n) - np.ones((n, n)) / n
    return h @ k @ h


def similarity(features):
    grams = [centered(np.asarray(x) @ np.asarray(x).T) for x in features]
    norms = [np.linalg.norm(g) for g in grams]
    return np.array(
        [[(a * b).sum() / (na * nb) for b, nb in zip(grams, norms)] for a, na in zip(grams, norms)]
    )


def shares(programme):
    """max w.x with cost(x) <= budget and 0 <= x <= 1, from x = 1, as ITPruner's authors do."""
    w = np.array(programme["weights"], float)
    a, q = np.array(programme["linear"], float), np.array(programme["quadratic"], float)
    excess = lambda x: programme["budget"] - (programme["constant"] + a @ x + x @ q @ x)
    result = minimize(
        lambda x: -w @ x,
        np.ones(len(w)),
        jac=lambda x: -w,
        bounds=[(0, 1)] * len(w),
        constraints={"type": "ineq", "fun": excess, "jac": lambda x: -(a + (q + q.T) @ x)},
        method="SLSQP",
        options={"ftol": 1e-10, "maxiter": 2000},
    )
    return result.x, -w @ result.x


def main():
    case = json.load(open(sys.argv[1]))
    worst = np.abs(similarity(case["features"]) - np.array(case["similarity"])).max()
    print(f"similarities: {worst:.2e}")
    failed = worst > 1e-6
    for programme in case["programmes"]:
        expected, value = shares(programme)
        found = np.array(programme["shares"])
        difference = np.abs(found - expected).max()
        print(f"{programme['name']}: shares differ by {difference:.4f}, value {value:.6f}")
        failed |= difference > 0.01
    sys.exit(1 if failed else 0)


main()
