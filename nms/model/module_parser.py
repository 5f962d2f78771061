"""From the text of a YANG module to its statements (RFC 7950 sections 6 and 14).

yangson's parser walks through separators and arguments character by character; here each is one regular expression,
and that is most of a module's text.  It knows nothing of where modules are found, nor of what statements mean.
"""

from __future__ import annotations

import re
from typing import Final

from yangson import exceptions as yangson_errors
from yangson.statement import ModuleParser, Statement

#: Space and comments between tokens (sections 6.1.1 and 14, rule optsep); the last line may lack its end.
_SEPARATOR: Final = re.compile(r"(?:[ \t\n]+|\r\n|//[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
#: A string in double quotes (section 6.1.3), what is between them.
_QUOTED: Final = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
#: A string without quotes: up to a separator, a brace or a semicolon.
_UNQUOTED: Final = re.compile(r"(?:[^; \t\r\n{/]|/(?![/*]))*")


def parse(text: str) -> Statement:
    """The statement ``module`` or ``submodule`` that `text` is.

    Raises:
        YangsonException: it is none.
    """
    parser = _Parser(text)
    parser.opt_separator()
    found = parser.statement()
    parser.opt_separator()
    if found.keyword not in ("module", "submodule") or parser.offset < len(text):
        raise yangson_errors.UnexpectedInput(parser, "one module or submodule")
    return found


class _Parser(ModuleParser):  # type: ignore[misc] # yangson is not typed
    input: str
    offset: int

    def opt_separator(self) -> bool:
        start = self.offset
        match = _SEPARATOR.match(self.input, start)
        assert match is not None  # it may be empty
        self.offset = match.end()
        return start < self.offset

    def dq_argument(self) -> None:
        match = _QUOTED.match(self.input, self.offset)
        if match is None:
            raise yangson_errors.EndOfInput(self)
        self.offset = match.end()
        self._arg += self.unescape(match[1]) if "\\" in match[1] else match[1]

    def unq_argument(self) -> None:
        match = _UNQUOTED.match(self.input, self.offset)
        assert match is not None  # it may be empty
        self._arg, self.offset = match[0], match.end()
