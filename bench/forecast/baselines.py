"""Prints the mean pinball loss of forecasts by statsforecast, for the series, weeks and quantiles of `stockline-bench forecast`.

Usage: baselines.py SERIES.csv, a file that `stockline-bench forecast YEAR.csv --series SERIES.csv` wrote.

The first row is computed anew and must equal that of the bench, so both measure the same. Each forecast sees the weeks from
the first on, as ours does, and is fitted again at each origin. No quantile is below zero.

- Croston and SBA tell a mean. Its quantiles are those of a Poisson distribution, or mean + z·σ with the σ of 12 weeks.
- ETS: for one week the bounds of the prediction intervals of statsforecast; for the sum of two weeks the quantiles of the
  sums of 500 paths that it simulates, or the normal distribution that they have exactly under ETS(A,N,N).
"""

import csv
import sys
from multiprocessing import Pool

import numpy as np
from scipy.stats import norm, poisson
from statsforecast.models import AutoETS, CrostonClassic, CrostonSBA

QUANTILES = np.array([0.5, 0.8, 0.9, 0.95])
AHEAD = [1, 2]
FIRST_WEEKS = 40
SHORT_WEEKS = 12
PATHS = 500
PROCESSES = 2
NAMES = [
    "12-week mean + z·σ (a)",
    "Croston, Poisson",
    "Croston + z·σ",
    "SBA, Poisson",
    "SBA + z·σ",
    "ETS, best by AICc",
    "ETS(A,N,N)",
]


def ets(known):
    """The quantiles of the demand of one week and of two, by the ETS model that AICc chooses."""
    fitted = AutoETS(season_length=1).fit(known)
    levels = [60, 80, 90]
    one = fitted.predict(h=1, level=levels)
    paths = fitted.simulate(h=2, n_paths=PATHS, seed=len(known))
    return [
        np.array([one["mean"][0], *(one[f"hi-{level}"][0] for level in levels)]),
        np.quantile(paths.sum(axis=1), QUANTILES),
    ]


def simple_ets(known):
    """The same by ETS(A,N,N), where the error of the first week moves the second week's mean by alpha."""
    fitted = AutoETS(season_length=1, model="ANN").fit(known)
    mean, alpha = fitted.predict(h=1)["mean"][0], fitted.model_["par"][0]
    sigma = fitted.model_["sigma2"] ** 0.5
    z = norm.ppf(QUANTILES)
    return [mean + z * sigma, 2 * mean + z * sigma * (1 + (1 + alpha) ** 2) ** 0.5]


def told(known):
    """The quantiles of each forecast, by weeks ahead."""
    short = known[-SHORT_WEEKS:]
    sigma = short.std(ddof=1)
    croston, sba = (model().forecast(y=known, h=1)["mean"][0] for model in [CrostonClassic, CrostonSBA])
    best, simple = ets(known), simple_ets(known)
    for ahead in AHEAD:

        def normal(mean):
            return mean * ahead + norm.ppf(QUANTILES) * sigma * ahead**0.5

        yield np.array(
            [
                normal(short.mean()),
                poisson.ppf(QUANTILES, croston * ahead),
                normal(croston),
                poisson.ppf(QUANTILES, sba * ahead),
                normal(sba),
                best[ahead - 1],
                simple[ahead - 1],
            ]
        ).clip(min=0)


def losses(weeks):
    """The sum of the losses of each forecast of one series, and their number."""
    sums, count = np.zeros(len(NAMES)), 0
    for now in range(FIRST_WEEKS, len(weeks)):
        for ahead, quantiles in zip(AHEAD, told(weeks[:now])):
            if now + ahead <= len(weeks):
                over = weeks[now : now + ahead].sum() - quantiles
                sums += np.maximum(QUANTILES * over, (QUANTILES - 1) * over).sum(axis=1)
                count += len(QUANTILES)
    return sums, count


def main():
    kinds = {}
    with open(sys.argv[1], newline="", encoding="utf-8") as file:
        for kind, _, *weeks in csv.reader(file):
            kinds.setdefault(kind, []).append(np.array(weeks, dtype=float))
    means = {}
    with Pool(PROCESSES) as pool:
        for kind, series in kinds.items():
            sums, counts = zip(*pool.imap_unordered(losses, series, chunksize=16))
            means[kind] = sum(sums) / sum(counts)
    print(f"{'mean pinball loss':38}", *(f"{kind:>14}" for kind in means))
    for at, name in enumerate(NAMES):
        beside = (f"{mean[at]:6.4f} {100 * (mean[at] / mean[0] - 1):+6.1f}%" for mean in means.values())
        print(f"{name:38}", *beside)


if __name__ == "__main__":
    main()
