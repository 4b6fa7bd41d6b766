"""swinlib's source shown in a notebook: read from the installed package, never pasted."""

import ast
import inspect
import textwrap

from swinlib.lab.showing import Code


def show_source(thing, docstring: bool = False) -> Code:
    """Show the source of something of swinlib's; last in a cell, it appears below it.

    Args:
        thing: a function, class or method.
        docstring: whether to keep the docstrings, which `help(thing)` also shows.

    Raises:
        TypeError: `thing` has no Python source.
    """
    code = textwrap.dedent(inspect.getsource(thing))
    if not docstring:
        code = _without_docstrings(code)
    where = inspect.getmodule(thing).__name__.replace(".", "/") + ".py"
    return Code(code.rstrip(), where)


def _without_docstrings(code: str) -> str:
    """The same code, comments and layout, less its docstrings."""
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        if (
            isinstance(node, (ast.FunctionDef, ast.ClassDef))
            and ast.get_docstring(node) is not None
        ):
            first = node.body[0]
            for number in range(first.lineno - 1, first.end_lineno):
                lines[number] = None
            after = first.end_lineno
            if after < len(lines) and not (lines[after] or "").strip():
                lines[after] = None  # the empty line behind it
    return "\n".join(line for line in lines if line is not None)
