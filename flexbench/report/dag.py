"""The workflow's graph as an inline drawing (SVG), without graphviz.

Layers by the longest path from a source, a few barycentre sweeps against crossings (Sugiyama,
Tagawa and Toda 1981); edges that pass over a layer bend through a free place in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx
from markupsafe import Markup

from flexbench.errors import FlexbenchError

Edge = tuple[str, str]

_HEIGHT, _ROW, _GAP, _LETTER, _MARGIN = 30.0, 44.0, 46.0, 7.4, 10.0  # pixels
_SWEEPS = 8


@dataclass(frozen=True)
class _Layout:
    """Layers of names, left to right; None-labelled bends stand for edges that pass."""

    layers: list[list[str]]
    chains: list[list[str]]  # each edge as the places that it runs through
    bends: frozenset[str]


def draw_graph(edges: Sequence[Edge]) -> Markup:
    """The graph as an <svg> element that takes its colours from the page; "" without edges.

    edges: (source, target); those that a longer path implies are not drawn.
    """
    if not edges:
        return Markup("")
    layout = _lay_out(reduce_edges(edges))
    places, size = _place(layout)
    parts = [
        Markup(
            '<svg class="dag" role="img" aria-label="workflow graph" viewBox="0 0 {0} {1}" '
            'width="{0}" height="{1}">'
        ).format(*(round(s) for s in size)),
        Markup(
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>'
        ),
    ]
    parts += [_curve([places[name] for name in chain]) for chain in layout.chains]
    parts += [_box(name, places[name]) for name in places if name not in layout.bends]
    return Markup("").join(parts) + Markup("</svg>")


def reduce_edges(edges: Sequence[Edge]) -> list[Edge]:
    """Without the edges that a longer path implies, in their order.

    Raises FlexbenchError where the graph has a cycle.
    """
    graph = nx.DiGraph(edges)
    if not nx.is_directed_acyclic_graph(graph):
        raise FlexbenchError("the workflow's graph has a cycle; a graph without one is needed")
    reduced = nx.transitive_reduction(graph)
    return [edge for edge in dict.fromkeys(edges) if reduced.has_edge(*edge)]


def _lay_out(edges: list[Edge]) -> _Layout:
    graph = nx.DiGraph(edges)
    layers: list[list[str]] = [list(layer) for layer in nx.topological_generations(graph)]
    depth = {name: number for number, layer in enumerate(layers) for name in layer}
    chains, bends = [], []
    for number, (source, target) in enumerate(edges):
        passed = [f"\0{number}.{layer}" for layer in range(depth[source] + 1, depth[target])]
        for layer, bend in enumerate(passed, start=depth[source] + 1):
            layers[layer].append(bend)
        chains.append([source, *passed, target])
        bends += passed
    _untangle(layers, chains)
    return _Layout(layers, chains, frozenset(bends))


def _untangle(layers: list[list[str]], chains: list[list[str]]) -> None:
    """Sort each layer by the mean place of its neighbours, forth and back."""
    steps = [pair for chain in chains for pair in pairwise(chain)]
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        known: dict[str, list[str]] = {}
        for source, target in steps if forward else [(t, s) for s, t in steps]:
            known.setdefault(target, []).append(source)
        for layer in layers[1:] if forward else layers[-2::-1]:
            place = {n: i - len(other) / 2 for other in layers for i, n in enumerate(other)}
            mean = {n: _mean([place[k] for k in known.get(n, [n])]) for n in layer}
            layer.sort(key=mean.__getitem__)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _place(layout: _Layout) -> tuple[dict[str, tuple[float, float, float]], tuple[float, float]]:
    """(left, middle height, width) of every box and bend, and the size of the drawing."""
    places = {}
    tallest = max(len(layer) for layer in layout.layers)
    left = _MARGIN
    for layer in layout.layers:
        widest = max([_LETTER * len(n) + 22 for n in layer if n not in layout.bends], default=20.0)
        top = _MARGIN + (tallest - len(layer)) * _ROW / 2
        for row, name in enumerate(layer):
            width = widest if name in layout.bends else _LETTER * len(name) + 22
            places[name] = (left + (widest - width) / 2, top + (row + 0.5) * _ROW, width)
        left += widest + _GAP
    return places, (left - _GAP + _MARGIN, tallest * _ROW + 2 * _MARGIN)


def _box(name: str, place: tuple[float, float, float]) -> Markup:
    x, y, width = place
    return Markup(
        '<g><rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="6"/>'
        '<text x="{:.1f}" y="{:.1f}">{}</text></g>'
    ).format(x, y - _HEIGHT / 2, width, _HEIGHT, x + width / 2, y + 4.5, name)


def _curve(places: list[tuple[float, float, float]]) -> Markup:
    """One edge: level at both ends of every stretch, so that it is smooth at bends."""
    x, y, width = places[0]
    path = f"M{x + width:.1f} {y:.1f}"
    start = (x + width, y)
    for number, (left, height, wide) in enumerate(places[1:], start=1):
        half = (left - start[0]) / 2
        path += f"C{start[0] + half:.1f} {start[1]:.1f} {left - half:.1f} {height:.1f} "
        path += f"{left:.1f} {height:.1f}"
        start = (left + wide, height)
        path += "" if number == len(places) - 1 else f"H{left + wide:.1f}"
    return Markup('<path class="edge" d="{}" marker-end="url(#tip)"/>').format(path)
