"""Random syntax trees as hypothesis strategies: every tree that text can spell, with comments."""

from __future__ import annotations

from hypothesis import strategies as st

from bbilang.grammar import ast
from bbilang.grammar.statement_words import STATEMENT_WORDS

names = st.sampled_from(["a", "b", "mixed4d", "top", "value", "x1", "from", "né", "名前", "_", "andy", "models"])
operations = names.filter(lambda name: name != "from")
words = st.one_of(names, st.sampled_from(sorted(STATEMENT_WORDS)))
strings = st.builds(ast.String, st.text(max_size=8))
numbers = st.builds(
    ast.Number,
    st.one_of(st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False)),
)
constants = st.builds(ast.Constant, st.sampled_from([True, False, None]))
dotted = st.one_of(words, st.builds("{}.{}".format, names, st.sampled_from(["channel", "0.conv2", "true", "not"])))
paths = st.one_of(st.builds(ast.Path, dotted), st.builds(ast.Path, dotted, st.sampled_from(["m", "né"])))
leaves = st.one_of(paths, paths, numbers, strings, constants)
attributes = st.sampled_from(["channel", "spatial", "né", "true", "model"])


def once_each(arguments: list[ast.Argument]) -> tuple[ast.Argument, ...]:
    """Without names that were there before."""
    seen: set[str] = set()
    unique = []
    for argument in arguments:
        if argument.name is None or argument.name not in seen:
            unique.append(argument)
            seen.add(argument.name or "")
    return tuple(unique)


def arguments_of(values: st.SearchStrategy[ast.Expression], least: int = 0) -> st.SearchStrategy:
    argument = st.one_of(st.builds(ast.Argument, values), st.builds(ast.Argument, values, words))
    return st.lists(argument, min_size=least, max_size=3).map(once_each)


def calls_of(values: st.SearchStrategy[ast.Expression]) -> st.SearchStrategy[ast.Call]:
    return st.builds(ast.Call, operations, arguments_of(values))


def deeper(values: st.SearchStrategy[ast.Expression]) -> st.SearchStrategy[ast.Expression]:
    calls = calls_of(values)
    ranges = st.builds(ast.Range, paths, paths)
    operators = "or and < <= > >= == != -> + - * /".split()
    return st.one_of(
        calls,
        st.builds(ast.Pipe, values, st.lists(calls, min_size=1, max_size=4).map(tuple)),
        st.builds(ast.List, st.lists(st.one_of(values, ranges), max_size=4).map(tuple)),
        st.builds(ast.Index, values, arguments_of(values, 1)),
        st.builds(ast.Attribute, values, attributes),
        st.builds(ast.Binary, st.sampled_from(operators), values, values),
        st.builds(ast.Unary, st.sampled_from(["-", "not"]), values),
    )


values = st.recursive(leaves, deeper, max_leaves=12)
new_names = st.builds(ast.Name, names)
name_nodes = st.builds(ast.Name, words)
calls = calls_of(values)
named_atoms = st.builds(
    ast.Index, st.one_of(paths, st.builds(ast.Attribute, strings, attributes)), arguments_of(values, 1)
)
simple = st.one_of(leaves, calls, st.builds(ast.List, st.lists(values, max_size=3).map(tuple)))
models = st.builds(
    ast.ModelItem, st.one_of(strings, st.builds(ast.Path, dotted)), new_names, st.one_of(st.none(), strings),
    st.lists(calls, max_size=2).map(tuple),
)  # fmt: skip
parameters = st.lists(
    st.builds(ast.Parameter, names, st.one_of(st.none(), values)), max_size=3, unique_by=lambda p: p.name
)
binds = st.builds(ast.Bind, new_names, values)
shows = st.builds(ast.Show, values)
statements = st.one_of(
    binds,
    shows,
    st.builds(ast.Model, st.lists(models, min_size=1, max_size=2).map(tuple)),
    st.builds(ast.Input, st.lists(strings, min_size=1, max_size=2).map(tuple)),
    st.builds(ast.Dataset, new_names, strings),
    st.builds(ast.AtomName, named_atoms, strings),
    st.builds(ast.Claim, strings, values),
    st.builds(ast.Output, strings),
    st.builds(ast.Set, name_nodes, arguments_of(values)),
    st.builds(ast.Set, name_nodes, value=simple),
    st.builds(ast.Use, strings),
    st.builds(ast.Define, new_names, parameters.map(tuple), values),
    st.builds(ast.Layout, calls),
)
interfaces = st.builds(ast.Interface, st.one_of(st.none(), strings), st.lists(statements, max_size=4).map(tuple))
files = st.builds(
    lambda version, rest: ast.File((*version, *rest)),
    st.sampled_from([(), (ast.Version(1),)]),
    st.lists(st.one_of(statements, statements, interfaces), max_size=5),
)
