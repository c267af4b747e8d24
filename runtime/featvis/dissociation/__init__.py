"""Whether an icon may mislead: other inputs drive it. Imports runtime/{passes,inputs,cache,models}.

A unit can be built so that its icon shows something else than what it responds to on photographs (Geirhos, Zimmermann,
Bilodeau, Brendel, Kim, "Don't trust your eyes: on the (un)reliability of feature visualizations", ICML 2024). The check
is a double dissociation at the last cut of the network in front of the unit's layer: the channels that drive the icon
are set to their means, which should silence the photographs too; then the channels that drive the photographs, which
should silence the icon too. Where neither does, two circuits lead to the unit, and the icon shows the one that
photographs do not use. A unit whose own top photographs are driven by two kinds of inputs is polysemantic and not
marked: an icon must be further from the photographs than these are from each other.

Earlier cuts are not tested: two circuits that share the channels of the last cut are one circuit to the unit, and
the largest of 25 cuts wrongly marked three of eight ordinary channels of EfficientNet-Lite0 (4 photographs each).

    photographs.py  the files of `set featvis(check="photos/")`, and their content's digest
    scan.py         mean activations over the photographs, and each photograph's response
    section.py      the network between a cut and the unit's layer: drive, ablation
    cases.py        the units of a layer, their icons and their photographs at the cut in front of it
    verdict.py      the double dissociation of one unit at one cut, from numbers
    check.py        icons -> whether each may mislead, cached
"""
