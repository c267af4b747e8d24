"""The gallery specs whose numbers take long, with fewer layers, classes, steps and masks.

Tests that compute one of them share this form, and so its numbers in the cache of the tests.
"""

import re
from pathlib import Path

FEWER_STEPS = ("n_steps=64", "n_steps=8")
SMALLER = {
    "channel_attribution": (
        ("block5a.expand, block4a.expand]", "block5a.expand]"),
        ("top(12, per=layer)", "top(2, per=layer)"),
        ("output[top(10)]", "output[top(8)]"),
    ),
    "methods_side_by_side": (
        ("n_steps=256", "n_steps=2"),
        ("n_samples=16", "n_samples=2"),
        ("occlusion,", "occlusion(window=112, stride=112),"),
        ("n_masks=256", "n_masks=3"),
        ("top(3)", "top(2)"),
    ),
    "spatial_and_channel": (FEWER_STEPS,),
    "activation_atlas": (
        ("sample(100)", "sample(24)"),
        ("positions=10", "positions=6"),
        ("bins=12, least=5", "bins=8, least=2"),
    ),
    "direction_arithmetic": (
        ('filter(split == "train")', 'filter(split == "train") | sample(120)'),
        ('filter(split == "test")', 'filter(split == "test") | sample(40)'),
    ),
    "activis": (("sample(60)", "sample(24)"),),
    "one_channel": (("sample(240)", "sample(60)"),),
    "rests_on_a_concept": (("sample(300)", "sample(120)"),),
    "what_it_calls_shapes": (("sample(240)", "sample(60)"),),
    "what_channels_detect": (("sample(160)", "sample(40)"),),
    "spatial_attribution": (FEWER_STEPS, ("output[top(10)]", "output[top(8)]"), ("block5a.expand, ", "")),
    "teaser": (FEWER_STEPS,),
    "which_part_moved_the_answer": (("block6a.project", "head"),),
    "would_it_still_say_so": (
        ("sample(40)", "sample(12)"),
        ("| top(8)", "| top(2)"),
        ("controls=20", "controls=2"),
    ),
    "which_pixels_which_concepts": (
        FEWER_STEPS,
        ("of=input_x_gradient", "of=input_x_gradient, n_samples=2"),
    ),
}


def is_of_one_model(path: Path) -> bool:
    """Return whether a text is of a single network: several, or checkpoints of one, have a plan for each."""
    text = path.read_text("utf-8")
    return text.count("\nmodel ") == 1 and not re.search(r"(?m)^model (runs|.*,)", text)
