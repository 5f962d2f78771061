"""Parsing a client's XPath expression: yangson's parser with the prefixes of the request, and bounds for hostile text.

The parser is yangson's; added here are the axes and node tests that it refuses although XPath 1.0 has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from yangson import exceptions as yangson_errors
from yangson import xpathast as ast
from yangson.enumerations import Axis
from yangson.xpathparser import XPathParser

from nms.errors import RpcError
from nms.model.cursor import TEXT
from nms.model.xpath_functions import Lang, NamespaceUri

MAX_LENGTH: Final = 16_384
MAX_NESTING: Final = 32

_LITERAL: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_AXIS: Final = re.compile(r"(attribute|namespace|following|preceding)\s*::\s*")
_ONLY_ROOT: Final = re.compile(r"/\s*(?=[])|,=!<>+]|\Z)")
_ANY_OF: Final = re.compile(r"([A-Za-z_][\w.-]*):\*\s*")
_NO_NODES: Final = (" ", "")


def cut_literals(text: str) -> tuple[str, tuple[str, ...]]:
    """The expression with each string literal replaced by its position, and the literals.

    Raises:
        RpcError: resource-denied; the expression is too long or too deeply nested.
    """
    if len(text) > MAX_LENGTH:
        raise RpcError("resource-denied", f"the XPath expression is longer than {MAX_LENGTH} characters")
    literals: list[str] = []

    def cut(match: re.Match[str]) -> str:
        literals.append(match[0][1:-1])
        return f"'{len(literals) - 1}'"

    template = _LITERAL.sub(cut, text)
    depth = 0
    for character in template:
        depth += (character in "([") - (character in ")]")
        if depth > MAX_NESTING:
            raise RpcError("resource-denied", f"the XPath expression is nested deeper than {MAX_NESTING} brackets")
    return template, tuple(literals)


class Prefixes:
    """The prefixes of a request, in the place where yangson's parser looks for a module's.

    Args:
        modules: prefix to module name; None for a namespace that no module has.
    """

    default_ns = None
    text_mid = ("", "")

    def __init__(self, modules: Mapping[str, str | None]) -> None:
        self.modules = modules
        self.schema_data = self

    def prefix2ns(self, prefix: str, _: Any) -> str:
        """Module name of `prefix`; a name in an unknown namespace is one that no node has."""
        if prefix not in self.modules:
            known = ", ".join(sorted(self.modules)) or "none are"
            message = f"the prefix {prefix!r} of the XPath expression is not declared (declared: {known})"
            raise RpcError("invalid-value", message)
        return self.modules[prefix] or ""

    def translate_pname(self, name: str, _: Any) -> tuple[str, str]:
        """(local name, module) of a qualified name."""
        prefix, colon, local = name.rpartition(":")
        return local, self.prefix2ns(prefix, None) if colon else ""


class _Parser(XPathParser):  # type: ignore[misc] # yangson is not typed
    offset: int

    def _location_path(self) -> Any:
        if match := _ONLY_ROOT.match(self.input, self.offset):
            self.offset = match.end()
            return ast.Root()
        return super()._location_path()

    def _axis_qname(self) -> tuple[Any, Any]:
        if self.test_string("@"):
            self._qname()
            return "attribute", False
        if match := _AXIS.match(self.input, self.offset):
            self.offset = match.end()
            return match[1], self._qname()
        if match := _ANY_OF.match(self.input, self.offset):
            return Axis.child, self._any_of(match)
        return super()._axis_qname()  # type: ignore[no-any-return]

    def _qname(self) -> Any:
        if match := _ANY_OF.match(self.input, self.offset):
            return self._any_of(match)
        return super()._qname()

    def _any_of(self, match: re.Match[str]) -> tuple[None, str]:
        self.offset = match.end()
        return None, self.sctx.schema_data.prefix2ns(match[1], self.sctx.text_mid)

    def _node_type(self, typ: str) -> Any:
        if typ not in ("text", "comment", "processing-instruction"):
            return super()._node_type(typ)
        self.adv_skip_ws()
        if typ == "processing-instruction" and self.peek() in "'\"":
            self.up_to(one) if self.test_string(one := self.peek()) else None
            self.skip_ws()
        self.char(")")
        self.skip_ws()
        return TEXT if typ == "text" else _NO_NODES

    def _func_namespace_uri(self) -> Any:
        return NamespaceUri(self._opt_arg())

    def _func_lang(self) -> Any:
        return Lang(self.parse())

    def _func_id(self) -> Any:
        # Without a DTD no node has an ID (XPath 1.0 section 5.2.1).
        self.parse()
        return ast.Step(Axis.self, _NO_NODES, [])


def parse(template: str, modules: Mapping[str, str | None]) -> Any:
    """yangson's syntax tree of an expression whose literals were cut.

    Raises:
        RpcError: invalid-value; it is no XPath 1.0 expression or uses an undeclared prefix.
    """
    parser = _Parser(template, Prefixes(modules))
    try:
        tree = parser.parse()
        if not parser.at_end():
            raise yangson_errors.InvalidXPath(parser)
    except yangson_errors.NotSupported as error:
        raise _bad(parser, f"{error.feature if hasattr(error, 'feature') else error} is not supported") from None
    except yangson_errors.ParserException:
        raise _bad(parser, "this is not XPath 1.0") from None
    return tree


def _bad(parser: XPathParser, why: str) -> RpcError:
    seen = parser.input[: parser.offset]
    where = f", after {seen[-60:]!r}" if seen else ""
    return RpcError("invalid-value", f"XPath expression{where}: {why}")


def alias(text: str, modules: Mapping[str, str | None]) -> str | None:
    """The canonical form ``module:name`` of an identity named with a prefix, or None."""
    prefix, colon, local = text.partition(":")
    module = modules.get(prefix) if colon else None
    return f"{module}:{local}" if module else None
