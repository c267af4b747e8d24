"""What the scores of a text's models are: `output = "path"`, `set scores`, `set labels`, and boxes in maps."""

from __future__ import annotations

import math
from dataclasses import replace

from bbilang.compiler.check.arguments.binding import at
from bbilang.compiler.check.arguments.boxes import boxes_of, with_boxes
from bbilang.compiler.check.class_names import listed
from bbilang.compiler.check.output_shapes import instead_of_map
from bbilang.compiler.check.statements.checkpoints import CheckpointStatements
from bbilang.compiler.contract import did_you_mean
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.score_kinds import VALUE, resolved_kind
from bbilang.grammar import ast
from bbilang.grammar.files import beside, read_text, short
from bbilang.grammar.source import NOWHERE, Span

LONGEST = 1000  # letters of a label
LARGEST = 4 << 20  # bytes of a file of labels


class ScoreStatements(CheckpointStatements):
    """Says which numbers of a network are its scores, and what they are called."""

    def scored(self, description: ModelDescription) -> ModelDescription:
        """Return the description of a model with the scores, their kind and their names as the text has them. Raises
        CheckError E204, E209, E248, E422."""
        description = with_boxes(self.labelled(self.scored_by_output(description)), boxes_of(self.file))
        if description.boxes:
            self.output = f"means of {description.part}: {description.boxes}"
        return description

    def _set_at(self, key: str) -> Span:
        """Return the span of a setting's value; NOWHERE if set on the command line."""
        return self.set_at.get(key, NOWHERE)

    def scored_by_output(self, description: ModelDescription) -> ModelDescription:
        """Return the description with the scores that `output = "path"` names, for a model without one class vector."""
        for statement in self.file.statements:
            if isinstance(statement, ast.Output):
                path = statement.path
                layer = description.by_name.get(path.value) or next(
                    (x for x in description.layers if x.module == path.value), None
                )
                part = next((part for part in description.parts if part.name == path.value), None)
                if layer is None and part is not None and (part.vector or part.map):
                    classes = part.shape[0] if part.map else math.prod(part.shape)
                    self.output = f"result {part.name}"
                    labels = description.labels if classes == description.classes else ()
                    description = replace(
                        description,
                        classes=classes,
                        output="",
                        part=part.name,
                        labels=labels,
                        scores=part.scores,
                        ends=part.layers,
                    )
                    continue
                if layer is None:
                    help = did_you_mean(path.value, description.by_name)
                    if help is None:
                        help = f"`bbi layers {description.name}` lists all"
                        if vectors := [part.name for part in description.parts if part.vector]:
                            help = f"parts of what it gives are {listed(vectors)}; {help}"
                    raise at(path.span, "E204", f"`{path.value}` is not a layer of {description.name}", help)
                if layer.axes != ("channel",):
                    raise at(
                        path.span,
                        "E209",
                        f"`{path.value}` has the axes {', '.join(layer.axes)}, and scores are one vector",
                        instead_of_map(layer, description.classes),
                    )
                self.output = layer.module
                labels = description.labels if layer.shape[0] == description.classes else ()
                description = replace(
                    description,
                    classes=layer.shape[0],
                    output=layer.module,
                    part="",
                    labels=labels,
                    scores=layer.scores,
                    ends=(layer.name,) if description.ends else (),  # unknown stays unknown
                )
        kind = self.settings.get("scores.kind")
        if description.scores_map and kind not in (None, VALUE):
            message = f"the scores of {description.name} are means of a map, and have no probability"
            raise at(self._set_at("scores.kind"), "E248", message, "leave the kind out: they are values")
        return replace(description, scores=resolved_kind(kind, description.scores))

    def labelled(self, description: ModelDescription) -> ModelDescription:
        """Return the description with the class names of `set labels`. Raises CheckError E422."""
        name = self.settings.get("labels")
        if name is None:
            return description
        statement = next((s for s in self.file.statements if isinstance(s, ast.Set) and s.name.text == "labels"), None)
        span = statement.value.span if statement and statement.value else NOWHERE
        try:
            path = beside(self._folder(), name)
            if statement is not None:
                self._stays(str(path), span)
            lines = read_text(path, LARGEST).removeprefix("\ufeff").splitlines()
        except OSError as error:
            raise at(
                span,
                "E422",
                f'the labels in "{short(name)}" cannot be read: {error.strerror or error}',
                "a text file in UTF-8 with one class name a line",
            ) from error
        labels = tuple(line.strip() for line in lines if line.strip())
        if long := next((label for label in labels if len(label) > LONGEST), None):
            message = f'a label in "{short(name)}" has {len(long):,} letters: {short(long)}'
            raise at(span, "E422", message, f"a label has at most {LONGEST} letters")
        if len(labels) != description.classes:
            raise at(
                span,
                "E422",
                f'"{name}" has {len(labels)} labels, and {description.name} has {description.classes} classes',
            )
        return replace(description, labels=labels)
