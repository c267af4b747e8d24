"""Columns of examples from the scores of a scan: what the network predicts, and how well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from bbilang.compiler.ir.score_kinds import LOGITS, PROBABILITIES, VALUE
from bbilang.runtime.data.labels import CLASS, CLASS_OF_LABEL, class_of_label


def columns_of(
    scores: np.ndarray, kind: str, labels: np.ndarray | None, classes: Sequence[str], word: Callable[[int], str]
) -> dict[str, np.ndarray]:
    """Return columns (example,) of scores (example, class), float64 or words.

    `predicted`: the class of the highest score. `confidence`: its probability, NaN where scores have none. Of a label
    (``labels``, "" for none) that is a class: `label_probability`, `loss` (the cross-entropy of exclusive classes, in
    nats) and `correct` (1 or 0). They are NaN where the label is no class. `CLASS`: the class of the highest score by a
    name that is its own; `CLASS_OF_LABEL`: that of the label, "" where it is no class.
    """
    count = len(scores)
    missing = np.full(count, np.nan)
    finite = np.isfinite(scores).all(1)
    best = np.where(finite, np.nan_to_num(scores, nan=-np.inf).argmax(1), -1)
    names = np.array([word(int(index)) if index >= 0 and kind != VALUE else "" for index in best], object)
    columns = {"predicted": names, "confidence": missing, "label_probability": missing, "loss": missing}
    columns["correct"] = missing
    own_words = _distinct(classes, word)
    columns[CLASS] = np.array([own_words[index] if names[n] else "" for n, index in enumerate(best)], object)
    columns[CLASS_OF_LABEL] = np.full(count, "", object)
    if kind == VALUE:
        return columns
    logs = _log_probabilities(scores, kind)
    rows = np.arange(count)
    columns["confidence"] = np.where(best >= 0, np.exp(logs[rows, best]), np.nan)
    if labels is None:
        return columns
    own = class_of_label([str(label) for label in labels], classes)
    known = (own >= 0) & (best >= 0)
    log = np.where(known, logs[rows, np.maximum(own, 0)], np.nan)
    columns["label_probability"] = np.exp(log)
    columns["loss"] = -log if kind in (LOGITS, PROBABILITIES) else missing
    columns["correct"] = np.where(known, (best == own).astype(np.float64), np.nan)
    columns[CLASS_OF_LABEL] = np.array([own_words[index] if index >= 0 else "" for index in own], object)
    return columns


def _distinct(classes: Sequence[str], word: Callable[[int], str]) -> Sequence[str]:
    """Return a name for each class: its short one, or the whole label where other classes are called the same."""
    short = [word(index) for index in range(len(classes))]
    count = Counter(short)
    return [label if count[own] > 1 else own for own, label in zip(short, classes, strict=True)]


def _log_probabilities(scores: np.ndarray, kind: str) -> np.ndarray:
    values = scores.astype(np.float64)
    with np.errstate(divide="ignore"):
        if kind == LOGITS:
            shifted = values - values.max(1, keepdims=True)
            return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        if kind == PROBABILITIES or (values.min(initial=0.0) >= 0 and values.max(initial=0.0) <= 1):
            return np.log(values)
        return -np.logaddexp(0.0, -values)
