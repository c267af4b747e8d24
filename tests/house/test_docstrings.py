"""Public functions and classes say what they do. Not those of a few lines, nor methods whose contract says it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from source_tree import ROOT, SOURCES

SHORT = 3  # lines that need no docstring: the body is the shorter explanation
HOOKS = ("grammar/build.py",)  # methods that Lark calls by the names of the grammar's rules
OF_LIBRARIES = ("Module", "MaxPool2d", "Conv2d", "Function", "Tracer", "TorchDispatchMode", "TyperGroup")

Function = (ast.FunctionDef, ast.AsyncFunctionDef)


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]


class Tree:
    """All classes by name, and the methods that protocols of a folder document: those need no words of their own."""

    def __init__(self, files: dict[str, str]) -> None:
        self.modules = {path: ast.parse(text) for path, text in files.items()}
        self.classes: dict[str, list[ast.ClassDef]] = defaultdict(list)
        self.contracts: dict[str, set[str]] = defaultdict(set)
        for path, module in self.modules.items():
            for node in ast.walk(module):
                if isinstance(node, ast.ClassDef):
                    self.classes[node.name].append(node)
                    if "Protocol" in _bases(node):
                        self.contracts[str(Path(path).parent)] |= self._documented(node)

    @staticmethod
    def _documented(node: ast.ClassDef) -> set[str]:
        return {each.name for each in node.body if isinstance(each, Function) and ast.get_docstring(each)}

    def _overrides(self, node: ast.ClassDef, name: str, seen: frozenset[str] = frozenset()) -> bool:
        for base in _bases(node):
            if base in OF_LIBRARIES:
                return True
            for parent in self.classes[base] if base not in seen else ():
                if name in self._documented(parent) or self._overrides(parent, name, seen | {base}):
                    return True
        return False

    def silent(self) -> Iterator[str]:
        """Yield `path: name` of what has no docstring and needs one."""
        for path, module in self.modules.items():
            if path not in HOOKS:
                yield from self._silent(path, module, None)

    def _silent(self, path: str, node: ast.Module | ast.ClassDef, owner: ast.ClassDef | None) -> Iterator[str]:
        for each in node.body:
            if not isinstance(each, (*Function, ast.ClassDef)) or each.name.startswith("_"):
                continue
            if isinstance(each, ast.ClassDef):
                yield from self._silent(path, each, each)
            elif owner is not None and (
                self._overrides(owner, each.name) or each.name in self.contracts[str(Path(path).parent)]
            ):
                continue
            long = isinstance(each, ast.ClassDef) or (each.end_lineno or 0) - each.body[0].lineno >= SHORT
            if long and not ast.get_docstring(each):
                yield f"{path}: {owner.name + '.' if owner else ''}{each.name}"


def test_public_functions_have_docstrings() -> None:
    files = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in SOURCES}
    silent = list(Tree(files).silent())
    assert not silent, "say in one imperative line what it does, with shapes, units and errors"


def test_silent_functions_are_recognized() -> None:
    body = "\n".join(f"        x = {n}" for n in range(5))
    text = f"""
class Contract(Protocol):
    '''A contract.'''
    def told(self): '''Tell.'''
class Base:
    '''A base.'''
    def explained(self): '''Explain.'''
class Some(Base):
    '''One.'''
    def told(self):
{body}
    def explained(self):
{body}
    def silent(self):
{body}
    def short(self): return 1
    def _private(self):
{body}
class Bare: pass
"""
    assert list(Tree({"a/b.py": text}).silent()) == ["a/b.py: Some.silent", "a/b.py: Bare"]
