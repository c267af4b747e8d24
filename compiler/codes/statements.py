"""Codes of statements, files and layouts."""

from __future__ import annotations

from typing import Final

from bbilang.compiler.codes.example_texts import BARS, ICONS, PHOTO
from bbilang.grammar.codes import Code

STATEMENTS: Final[dict[str, Code]] = {
    "E220": Code(
        "unknown setting",
        "`set` changes a few defaults; the reference lists them with their parameters.",
        f"set icons(size=96)\n{ICONS}",
        f"set featvis(size=96)\n{ICONS}",
    ),
    "E221": Code(
        "name bound twice",
        "A name has one meaning in its block, so that each line can be read by itself. Choose another.",
        f"photo = input | present(image)\n{PHOTO}",
        PHOTO,
    ),
    "E222": Code(
        "name used before it is bound",
        "A text is read from top to bottom, so a name is bound above its first use. Move the line up.",
        "block5c.expand.spatial | attribute(output) | present(heatmap, over=photo)\nphoto = input | present(image)",
        "photo = input | present(image)\nblock5c.expand.spatial | attribute(output) | present(heatmap, over=photo)",
    ),
    "E250": Code(
        "a caption's reference that means nothing",
        "`[words](channel 447)` points at an atom of the page: say its kind, and as many numbers as that has.",
        'input | present(image, caption="the [nose](11, 9)")',
        'input | present(image, caption="the [nose](position 6 5)")',
    ),
    "E251": Code(
        "a name for something that is not one atom",
        "`name` says what one atom of one layer is called: a channel, a neuron, an attention head, a group or a "
        "direction, given by its numbers.",
        f'name output["tabby"] "my cat"\n{BARS}',
        f'name block5c.expand.channel[447] "stripes"\n{BARS}',
    ),
    "E252": Code(
        "a name that cannot be shown",
        "A name stands in labels and sentences: a few words on one line, at most 40 letters.",
        f'name block5c.expand.channel[447] ""\n{BARS}',
        f'name block5c.expand.channel[447] "stripes"\n{BARS}',
    ),
    "E253": Code(
        "two names for one atom",
        "An atom has one name, whatever file states it; several atoms may share one.",
        f'name block5c.expand.channel[447] "stripes"\nname block5c.expand.channel[447] "grass"\n{BARS}',
        f'name block5c.expand.channel[447] "stripes"\nname block5c.expand.channel[448] "grass"\n{BARS}',
    ),
    "E296": Code(
        "a name for what every input has another of",
        "A name holds for every input, and what stands at a position or a token is another thing in each; a caption's "
        "`[nose](position 6 6)` says it of one picture. Learned tokens, such as the class token, can be named.",
        f'name block5c.expand.spatial[6, 6] "nose"\n{BARS}',
        f'name block5c.expand.neuron[6, 6, 447] "stripes in the middle"\n{BARS}',
    ),
    "E297": Code(
        "a name for groups that are not always the same",
        "A group or direction has a name where there is one of it: not where each input, or each choice of the reader, "
        "makes others.",
        'input "sample:chelsea", "sample:coffee"\ngroups = block5c.expand | factorize(nmf, 6)\nname groups[2] "fur"\n'
        "groups | present(featvis)",
        'input "sample:chelsea", "sample:coffee"\ngroups = block5c.expand | factorize(nmf, 6, along=input)\n'
        'name groups[2] "fur"\ngroups | present(featvis)',
    ),
    "E223": Code(
        "statement where it is not allowed",
        "Statements for the whole file (`model`, `input`, `set` ...) belong outside interfaces. Each interface "
        "has at most one `layout`.",
        f'interface "Cats" {{\n    set featvis(size=96)\n    {ICONS}\n}}',
        f'set featvis(size=96)\ninterface "Cats" {{\n    {ICONS}\n}}',
    ),
    "E244": Code(
        "a file outside of the folder",
        "With `--root FOLDER`, or `run(..., root=folder)`, everything that a text names must be inside of that folder: "
        "pictures, weights, models and labels, and what links lead to. What the caller gives may be anywhere.",
        f'input "../secret.jpg"\n{BARS}',
        f'input "sample:chelsea"\n{BARS}',
        needs="a folder that files must not leave",
    ),
    "E241": Code(
        "a definition or a file that calls itself",
        "A call is replaced by its definition, and a `use` by the file that it names; a cycle would never end.",
        "def again(layer) = layer.channel | attribute(output) | again()\nagain(block5c.expand) | present(bars)",
        "def evidence(layer) = layer.channel | attribute(output) | top(8)\nevidence(block5c.expand) | present(bars)",
    ),
    "E242": Code(
        "a used file that cannot be read",
        "The path in `use` is relative to the folder of the file that uses it, and must stay inside `--root` if "
        "that is given.",
        f'use "part.bbi"\n{BARS}',
        'use "parts.bbi"\nevidence | present(bars)',
        files={"parts.bbi": "evidence = block5c.expand.channel | attribute(output) | top(8)\n"},
    ),
    "E243": Code(
        "a used file with an error",
        "The names that the other file defines are unknown until it is fixed. `bbi check` on that file shows "
        "the error.",
        f'use "broken.bbi"\n{BARS}',
        'use "parts.bbi"\nevidence | present(bars)',
        files={
            "broken.bbi": "evidence = block5c.expand.channel | attribute(output | top(8)\n",
            "parts.bbi": "evidence = block5c.expand.channel | attribute(output) | top(8)\n",
        },
    ),
    "E301": Code(
        "nothing to show",
        "A page has elements, and an element is a pipe that ends in `present`.",
        "set seed 7",
        f"set seed 7\n{PHOTO}",
    ),
    "E302": Code(
        "a pipe that shows nothing",
        "A pipe without a name that is not drawn does nothing. End it with `present`, or give it a name to use.",
        "block5c.expand.channel | attribute(output) | top(8)",
        BARS,
    ),
    "E285": Code(
        "a claim without a comparison",
        "A claim is a sentence and the comparison that it stands for: a pipe that ends in one number, `<`, `<=`, `>` "
        "or `>=`, and a number or another pipe. Several are joined by `and`.",
        'claim "It is a cat" = output["tabby"]\n' + BARS,
        'claim "It is a cat" = output["tabby"] > 5\n' + BARS,
    ),
    "E286": Code(
        "a claim about more than one number",
        "A claim spends every axis but the inputs and the examples, over which it takes the mean. Sum the others up, "
        "or change atoms together.",
        'claim "They are strong" = block5c.expand.channel | attribute(output) | top(4) > 1\n' + BARS,
        'claim "They are strong" = block5c.expand.channel | attribute(output) | top(4) | sum(channel) > 1\n' + BARS,
    ),
    "E287": Code(
        "too few random sets for a claim",
        "The p-value of n random sets is at least 1 / (n + 1), and m claims correct it by up to m: with fewer than "
        "20 m - 1 sets no claim could ever hold.",
        'claim "It rests on them" = block5c.expand.channel | attribute(output) | top(4) | ablate(zero, together=true)\n'
        "    | effect(output, controls=9) < -0.5\n" + BARS,
        'claim "It rests on them" = block5c.expand.channel | attribute(output) | top(4) | ablate(zero, together=true)\n'
        "    | effect(output, controls=99) < -0.5\n" + BARS,
    ),
    "E308": Code(
        "layout names something that is not an element",
        "`row` and `column` arrange elements of the same interface by name, each once; what is drawn `over=` another "
        "element goes where that goes.",
        f"{PHOTO}\nicons = {ICONS}\nlayout row(photo, icon)",
        f"{PHOTO}\nicons = {ICONS}\nlayout row(photo, icons)",
    ),
    "E420": Code(
        "no input",
        "Everything on a page is about a picture: the text names it with `input`, or the command with `--input`.",
        "# without --input\ninput | present(image)",
        'input "sample:chelsea"\ninput | present(image)',
    ),
    "E422": Code(
        "labels that cannot be read",
        "`set labels` names a text file in UTF-8 with one class name a line, as many as the model has classes.",
        f'set labels "labels.txt"\n{BARS}',
        BARS,
        files={"labels.txt": "cat\ndog\n"},
    ),
    "W201": Code(
        "a binding hides a layer",
        "From here on the name means the binding, and the layer cannot be reached. With another name both can be used.",
        f"block5c = {BARS}",
        f"evidence = {BARS}",
    ),
    "W202": Code(
        "a binding is never used",
        "Nothing on the page uses this line. Often the name is misspelled where it was meant to be used.",
        f"evidence = block5c.expand.channel | attribute(output) | top(8)\n{PHOTO}",
        f"evidence = block5c.expand.channel | attribute(output) | top(8)\nevidence | present(bars)\n{PHOTO}",
    ),
    "W308": Code(
        "a layout leaves an element out",
        "Elements that the layout does not name follow below it. Name them, or leave the layout out.",
        f"{PHOTO}\nicons = {ICONS}\nlayout row(photo)",
        f"{PHOTO}\nicons = {ICONS}\nlayout row(photo, icons)",
    ),
    "E380": Code(
        "more passes than the limit",
        "Whoever makes the page allows so many passes through the network; each step of an icon is two of them. The "
        "plan is compared before anything runs: `bbi explain` shows it.",
        "$ bbi run page.bbi --limit passes=10",
        "$ bbi run page.bbi --limit passes=100000",
        needs="a limit",
    ),
    "E435": Code(
        "more elements than the limit",
        "Whoever makes the page allows so many elements, pipes that end in `present`.",
        "$ bbi run page.bbi --limit elements=1",
        "$ bbi run page.bbi --limit elements=50",
        needs="a limit",
    ),
    "E381": Code(
        "more states than the limit",
        "Whoever makes the page allows so many states of an element: the product of what a reader can choose.",
        "$ bbi run page.bbi --limit states=1",
        "$ bbi run page.bbi --limit states=100",
        needs="a limit",
    ),
    "E382": Code(
        "more memory than the limit, by the plan",
        "Whoever makes the page allows so many bytes, and the activations that the plan keeps are more. The plan is "
        "compared before anything runs.",
        "$ bbi run page.bbi --limit memory=1kB",
        "$ bbi run page.bbi --limit memory=2GB",
        needs="a limit",
    ),
}
