"""`set training(...)`: what it says is the recipe, and without it there is none."""

from __future__ import annotations

from dataclasses import fields

import bbilang
from bbilang.compiler.check.settings import SETTINGS
from bbilang.runtime.mending.recipe import LOSSES, OPTIMIZERS, Recipe

SHOWN = 'input "sample:chelsea"\ninput | present(image)'


def test_the_defaults_of_a_text_are_those_of_the_recipe():
    recipe = Recipe()
    own = {parameter.name: parameter for parameter in SETTINGS["training"]}
    assert {field.name for field in fields(Recipe)} == {*own, "seed"}
    for name, parameter in own.items():
        assert getattr(recipe, name) == parameter.default
    assert own["loss"].choices == LOSSES and own["optimizer"].choices == OPTIMIZERS


def test_a_text_says_how_to_train():
    program = bbilang.check(f"set training(loss=cross_entropy, epochs=4, lr=0.01)\nset seed 3\n{SHOWN}")
    assert Recipe.of(dict(program.settings)) == Recipe(epochs=4, lr=0.01, seed=3)
    assert Recipe.of(dict(bbilang.check(SHOWN).settings)) is None
