# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Expressions of an inventory file. What is plain enough runs in Python; the rest, and every doubt, goes to Jinja.

Jinja takes a fifth of a millisecond for each host and expression, and most expressions are a name with dots. The
expression's own syntax tree decides: each node that Python can answer alike becomes a function.
"""

from __future__ import annotations

import operator
import typing as t
from collections.abc import Callable, Mapping

import jinja2
from jinja2 import nodes

Variables = Mapping[str, t.Any]
Node = Callable[[Variables], t.Any]
# What the template engine does with an expression; it raises where it fails.
Engine = Callable[[t.Any, Variables], t.Any]

_OPERATORS: dict[str, Callable[[t.Any, t.Any], t.Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}
# What may be undefined without being an error, before `default` and `is defined`.
_PATHS = (nodes.Name, nodes.Getattr, nodes.Getitem)
# Jinja finds a value's methods before or after its items: such names are left to it.
_METHODS = frozenset(name for kind in (dict, list, str, int, float, bool) for name in dir(kind))


class UndefinedError(Exception):
    """The expression asks for what a host has not."""


class UnsureError(Exception):
    """Only Jinja can tell."""


class Expressions:
    """Evaluates expressions over many hosts; each is read once."""

    def __init__(self, evaluate: Engine, decide: Engine, extra: Variables | None = None) -> None:
        self._evaluate = evaluate
        self._decide = decide
        # Variables of the command line, where the file asks for them.
        self._extra = extra or {}
        self._compiled: dict[str, Node | None] = {}
        self._names: dict[str, bool] = {}
        # How many evaluations Jinja had to do.
        self.slow = 0

    def value(self, expression: t.Any, variables: Variables) -> t.Any:
        """The value; raises where Ansible would."""
        try:
            return self._fast(expression, {**variables, **self._extra} if self._extra else variables)
        except UnsureError:
            self.slow += 1
            return self._evaluate(expression, variables)

    def condition(self, expression: t.Any, variables: Variables) -> bool:
        """Whether it holds; raises where Ansible would."""
        try:
            found = self._fast(expression, variables)
            if isinstance(found, bool):
                return found
        except UnsureError:
            pass
        self.slow += 1
        return bool(self._decide(expression, variables))

    def _fast(self, expression: t.Any, variables: Variables) -> t.Any:
        if not isinstance(expression, str):
            raise UnsureError
        key = str(expression)
        if key not in self._compiled:
            self._compiled[key] = self._compile(_tree(key))
        run = self._compiled[key]
        if run is None:
            raise UnsureError
        try:
            return run(variables)
        except (TypeError, AttributeError, ValueError):
            raise UnsureError from None

    def _compile(self, node: nodes.Node | None) -> Node | None:
        """A function that does what the node says, or None where Python might answer otherwise than Jinja."""
        makers: dict[type[t.Any], t.Any] = {
            nodes.Name: self._name,
            nodes.Const: self._const,
            nodes.Getattr: self._item,
            nodes.Getitem: self._item,
            nodes.Compare: self._compare,
            nodes.And: self._both,
            nodes.Or: self._either,
            nodes.Not: self._not,
            nodes.Filter: self._default,
            nodes.Test: self._defined,
        }
        maker = makers.get(type(node))
        return t.cast("Node | None", maker(node)) if maker else None

    def _const(self, node: nodes.Const) -> Node | None:
        value = node.value
        return (lambda _variables: value) if isinstance(value, (str, bool, int)) else None

    def _name(self, node: nodes.Name) -> Node:
        name = node.name

        def run(variables: Variables) -> t.Any:
            try:
                return variables[name]
            except KeyError:
                raise UnsureError if self._known_to_jinja(name) else UndefinedError(f"{name!r} is undefined") from None

        return run

    def _known_to_jinja(self, name: str) -> bool:
        """Whether a name means something without variables, as `omit` and `range` do."""
        if name not in self._names:
            try:
                self._evaluate(name, {})
                self._names[name] = True
            except Exception as error:
                self._names[name] = "undefined" not in str(error)
        return self._names[name]

    def _item(self, node: nodes.Getattr | nodes.Getitem) -> Node | None:
        inner = self._compile(node.node)
        if isinstance(node, nodes.Getattr):
            key: t.Any = node.attr
        else:
            key = node.arg.value if isinstance(node.arg, nodes.Const) else None
        if inner is None or isinstance(key, bool) or not isinstance(key, (str, int)):
            return None
        if isinstance(key, str) and (key in _METHODS or key.startswith("_")):
            return None

        def run(variables: Variables) -> t.Any:
            value = inner(variables)
            if isinstance(value, dict):
                if key in value:
                    return value[key]
            elif isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value):
                return value[key]
            elif not isinstance(value, (list, str, int, float, type(None))) or (
                isinstance(value, str) and isinstance(key, int)
            ):
                raise UnsureError
            raise UndefinedError(f"no attribute {key!r}")

        return run

    def _compare(self, node: nodes.Compare) -> Node | None:
        if len(node.ops) != 1 or node.ops[0].op not in _OPERATORS:
            return None
        left, right = self._compile(node.expr), self._compile(node.ops[0].expr)
        compare = _OPERATORS[node.ops[0].op]
        if left is None or right is None:
            return None
        return lambda variables: compare(left(variables), right(variables))

    def _both(self, node: nodes.And) -> Node | None:
        left, right = self._compile(node.left), self._compile(node.right)
        if left is None or right is None:
            return None
        return lambda variables: left(variables) and right(variables)

    def _either(self, node: nodes.Or) -> Node | None:
        left, right = self._compile(node.left), self._compile(node.right)
        if left is None or right is None:
            return None
        return lambda variables: left(variables) or right(variables)

    def _not(self, node: nodes.Not) -> Node | None:
        inner = self._compile(node.node)
        return None if inner is None else lambda variables: not inner(variables)

    def _default(self, node: nodes.Filter) -> Node | None:
        """``| default('x')``, and nothing else of the filters."""
        plain = node.name in ("default", "d") and not node.kwargs and not node.dyn_args and not node.dyn_kwargs
        if not plain or not isinstance(node.node, _PATHS) or not 1 <= len(node.args) <= 2:
            return None
        inner, other = self._compile(node.node), self._compile(node.args[0])
        also_empty = len(node.args) == 2 and isinstance(node.args[1], nodes.Const) and node.args[1].value is True
        if inner is None or other is None or (len(node.args) == 2 and not also_empty):
            return None

        def run(variables: Variables) -> t.Any:
            try:
                found = inner(variables)
            except UndefinedError:
                return other(variables)
            return found or other(variables) if also_empty else found

        return run

    def _defined(self, node: nodes.Test) -> Node | None:
        """``is defined`` and ``is undefined``."""
        inner = self._compile(node.node)
        plain = isinstance(node.node, _PATHS) and node.name in ("defined", "undefined") and not node.args
        if inner is None or not plain:
            return None
        when_found = node.name == "defined"

        def run(variables: Variables) -> bool:
            try:
                inner(variables)
            except UndefinedError:
                return not when_found
            return when_found

        return run


def _tree(expression: str) -> nodes.Node | None:
    """The syntax tree of an expression; None where it is no single one."""
    try:
        parsed = jinja2.Environment(autoescape=True).parse("{{ (" + expression + "\n) }}")
    except jinja2.TemplateSyntaxError:
        return None
    if len(parsed.body) == 1 and isinstance(parsed.body[0], nodes.Output) and len(parsed.body[0].nodes) == 1:
        return parsed.body[0].nodes[0]
    return None


def names_used(expression: t.Any) -> set[str] | None:
    """The variables that an expression reads; None where nobody knows."""
    tree = _tree(expression) if isinstance(expression, str) else None
    if tree is None:
        return None
    found = {node.name for node in tree.find_all(nodes.Name)} | ({tree.name} if isinstance(tree, nodes.Name) else set())
    return None if "vars" in found or "hostvars" in found else found
