"""Every row of the table of scores, for the page's one table that can be sorted and filtered.

Most cells are one of few texts. A column is its different texts, in the order that they sort by,
and for each row the place of its text among them: a quarter of the bytes of the table itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from flexbench.metrics.definitions import definition_of, in_order
from flexbench.metrics.tables import MARK, MARKS, SUBMITTED
from flexbench.report.better import BETTER_SIGNS
from flexbench.report.labels import Labels
from flexbench.report.numbers import with_interval
from flexbench.report.tables import FindAnchor, details_in_order, reynolds_in_order, score_name

Column = dict[str, Any]


def explorer(
    scores: pd.DataFrame,
    *,
    titles: Mapping[str, str],
    methods: Iterable[str],
    labels_of: Callable[[str], Labels],
    find_anchor: FindAnchor,
) -> list[Column]:
    """The columns of the table of scores, each with its name.

    Those of few texts have `texts` and `at`, the place of each row's text in them; those of numbers
    have `cells`, the text of each row. titles: of the cases. methods: in the order to sort by. The
    marks of methods are a column where others ran any.
    """
    rows, submitted = scores.to_dict("records"), SUBMITTED in set(scores[MARK])
    labels = {case: labels_of(case) for case in dict.fromkeys(scores["case"])}
    flow = next((own.flow_short for own in labels.values()), "Re")
    scored = [(row["score"], _named(row["score"], labels[row["case"]])) for row in rows]
    order = [name for score in in_order(scores["score"]) for own, name in scored if own == score]
    numbers = [with_interval(*(float(row[k]) for k in ("value", "low", "high"))) for row in rows]
    counts = (("Snapshots", "snapshots"), ("Flows", "trajectories"), ("Seeds", "training_seeds"))
    return [
        _texts("Case", [titles[row["case"]] for row in rows], titles.values()),
        _texts("Method", [row["method"] for row in rows], [*methods, *scores["method"]]),
        _texts("Score", [name for _, name in scored], order),
        _texts(flow, [row["reynolds"] for row in rows], reynolds_in_order(scores)),
        _texts("Detail", [row["detail"] for row in rows], details_in_order(scores)),
        *([_texts("Mark", [row[MARK] for row in rows], MARKS)] if submitted else ()),
        {"name": "Value", "cells": [value for value, _ in numbers]},
        {"name": "Interval", "cells": [interval for _, interval in numbers]},
        *(
            _texts(name, [f"{n:g}" for n in scores[key]], [f"{n:g}" for n in sorted(scores[key])])
            for name, key in counts
        ),
        _texts("Receipt", [find_anchor(str(row["receipt"])) for row in rows]),
    ]


def _named(score: str, labels: Labels) -> str:
    """Its name, and which way is better."""
    return f"{score_name(score, labels)} {BETTER_SIGNS[definition_of(score).better]}".strip()


def _texts(name: str, cells: list[str], order: Iterable[str] = ()) -> Column:
    """A column of few texts, in this order as far as it goes."""
    present = set(cells)
    texts = [text for text in dict.fromkeys([*order, *cells]) if text in present]
    places = {text: number for number, text in enumerate(texts)}
    return {"name": name, "texts": texts, "at": [places[cell] for cell in cells]}
