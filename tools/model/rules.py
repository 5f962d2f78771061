"""The table of what can be found in a module: a stable code, how bad it is, why it matters, the way out.

NMS1xx the module is not valid (RFC 7950), NMS2xx form (RFC 8407), NMS3xx documentation and what is not used, NMS4xx the
naming rules of this project's own namespace, NMS5xx cost of XPath, NMS6xx example instances, NMS7xx owners in a
server.  A code never changes its meaning and is never used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding.

    Attributes:
        severity: where the namespace is not ours; `ours` where it is.
        family: the word by which `tools.check_yang` groups it.
    """

    code: str
    severity: Severity
    ours: Severity
    family: str
    title: str
    why: str
    remedy: str

    def of(self, ours: bool) -> Severity:
        """Its severity in a module of our namespace, or of another one."""
        return self.ours if ours else self.severity


_E: Final[Severity] = "error"
_W: Final[Severity] = "warning"
_N: Final[Severity] = "note"

RULES: Final[Mapping[str, Rule]] = {rule.code: rule for rule in (
    Rule("NMS101", _E, _E, "lint", "the text is not YANG",
         "Nothing can read the module: no server starts with it and no client loads it.",
         "Correct the statement at this line; a missing ';' or '}' is often on the line before."),
    Rule("NMS102", _E, _E, "lint", "an imported or included module is missing or wrong",
         "Names that come from it cannot be resolved.",
         "Put the module beside this one, or name its folder with --path; check name, revision-date and belongs-to."),
    Rule("NMS103", _E, _E, "lint", "a name is used that nothing defines",
         "The type, grouping, identity, feature, prefix or node does not exist where it is looked for.",
         "Check the spelling and the prefix; import the module that defines it."),
    Rule("NMS104", _E, _E, "lint", "a name or value is defined twice",
         "Readers could not tell which of the two is meant.",
         "Rename one, or remove it; mind nodes that come from groupings and augments."),
    Rule("NMS105", _E, _E, "lint", "a type or its restriction does not hold together",
         "Implementations disagree on the values they take.",
         "Keep ranges and lengths in ascending order and inside the base type's; check patterns and values."),
    Rule("NMS106", _E, _E, "lint", "key or unique of a list is wrong",
         "Entries could not be told apart.",
         "Name existing leafs of the list, with the list's own config; configuration lists need a key."),
    Rule("NMS107", _E, _E, "lint", "an XPath expression or leafref path is wrong",
         "The constraint is refused, or is silently never true.",
         "Check each step against `nms model tree`; prefix the names of other modules; count the '..'."),
    Rule("NMS108", _E, _E, "lint", "definitions go in a circle",
         "The definition could never be expanded.",
         "Take one reference out of the circle, usually by moving what is common into its own definition."),
    Rule("NMS109", _E, _E, "lint", "augment, refine or deviation does not fit its target",
         "The other module's tree would become one that its clients do not expect.",
         "Check the target in `nms model tree`; a mandatory node needs a when, or its own presence container."),
    Rule("NMS110", _E, _E, "lint", "config, default and mandatory contradict each other",
         "No value could satisfy all of them.",
         "Keep the one that says what is meant and remove the other."),
    Rule("NMS111", _E, _E, "lint", "the module breaks another rule of RFC 7950",
         "Other implementations refuse the module.",
         "Read the section of RFC 7950 on this statement."),
    Rule("NMS112", _E, _E, "LOAD", "the server's engine does not take the module",
         "A server could not serve it, whatever other tools say.",
         "Change what the message names; if the module is right, this is a fault of the engine: report it."),
    Rule("NMS201", _W, _E, "lint", "statements are not in canonical order",
         "Differences between revisions show moves in place of changes (RFC 7950 section 14).",
         "Order the statements as the grammar does: `pyang -f yang --yang-canonical` prints them so."),
    Rule("NMS202", _W, _E, "lint", "a line is too long",
         "Reviews and printed documents break it.",
         "Break the string with '+', or move it to its own line (at most 120 columns)."),
    Rule("NMS203", _W, _E, "lint", "an identifier has more than 64 characters",
         "RFC 8407 section 4.3.1 bounds it for the sake of implementations that generate code.",
         "Choose a shorter name: what the parents say already need not be said again."),
    Rule("NMS204", _W, _E, "lint", "a name is not in lower case with hyphens",
         "Names look alike everywhere in YANG (RFC 8407 section 4.3.1); generators map them to each language's own.",
         "Rename it while no client depends on it: a rename later is a breaking change."),
    Rule("NMS205", _N, _E, "lint", "a statement says what is the default anyway",
         "It hides the statements that do say something (RFC 8407 section 4.4).",
         "Remove it."),
    Rule("NMS206", _W, _E, "lint", "the module's name has no organization prefix",
         "Module names are unique in the world (RFC 8407 section 4.1).",
         "Start the name with a word of your organization or technology and a hyphen."),
    Rule("NMS207", _W, _E, "lint", "a top-level node is mandatory",
         "Loading the module makes the empty configuration invalid (RFC 8407 section 4.10).",
         "Put it below a presence container, or make it optional."),
    Rule("NMS208", _W, _E, "lint", "revisions are out of order or missing",
         "Tools take the first revision for the newest.",
         "Add a revision with each published change, newest first."),
    Rule("NMS209", _W, _E, "lint", "the file is not named for its module",
         "Tools look for NAME.yang or NAME@REVISION.yang (RFC 7950 section 5.2) and load another file, or none.",
         "Rename the file."),
    Rule("NMS210", _W, _E, "lint", "the module does not say who made it",
         "Users need organization, contact, description and revision (RFC 8407 section 4.8).",
         "Add the statement to the module's head."),
    Rule("NMS211", _W, _E, "lint", "another warning of the YANG compiler",
         "It is legal, and most often not what was meant.",
         "Read the message; change the statement or its place."),
    Rule("NMS301", _W, _E, "lint", "a definition has no description",
         "The description is the contract: without it two implementers guess differently (RFC 8407 section 4.14).",
         "Say what the value means and what happens when it changes, not its name again."),
    Rule("NMS302", _N, _N, "DOC", "a specification is named without a reference",
         "Readers and tools find the source by the reference statement (RFC 8407 section 4.14).",
         "Add `reference \"RFC 8040: RESTCONF Protocol, section 3.5\";` beside the description."),
    Rule("NMS303", _W, _E, "UNIT", "a quantity has no units",
         "One side means seconds, the other milliseconds (RFC 8407 section 4.13.3).",
         "Add `units \"seconds\";` to the leaf or to its typedef."),
    Rule("NMS304", _W, _E, "lint", "an import is not used",
         "Whoever loads the module must find the imported one too, for nothing.",
         "Remove the import."),
    Rule("NMS305", _N, _W, "DOC", "a typedef is not used",
         "What nobody uses is not tested and still has to be kept compatible.",
         "Remove it, or note in its description for whom it is there."),
    Rule("NMS306", _N, _W, "DOC", "a grouping is not used",
         "What nobody uses is not tested and still has to be kept compatible.",
         "Remove it, or note in its description for whom it is there."),
    Rule("NMS307", _N, _E, "lint", "an enum or bit has no description",
         "A name in a list of choices seldom says enough (RFC 8407 section 4.11.3).",
         "Describe each value."),
    Rule("NMS401", _E, _E, "FILE", "the file does not carry its newest revision",
         "The daemon and YANG library name files by module and revision.",
         "Rename the file to NAME@REVISION.yang."),
    Rule("NMS402", _E, _E, "NAME", "the namespace does not follow from the module's name",
         "Partners derive one from the other.",
         "Use urn:mec-nms:yang:NAME."),
    Rule("NMS403", _E, _E, "NAME", "the prefix is long or another module's",
         "XPath in five modules at once is only readable with short prefixes, each of one module.",
         "Choose at most 5 characters that no other module has."),
    Rule("NMS404", _E, _E, "LIST", "a list is named in the plural",
         "The name is that of one entry in every instance path (RFC 8407 section 4.3.1).",
         "Use the singular; a surrounding container may have the plural."),
    Rule("NMS405", _E, _E, "LIST", "keys do not come first, in their order",
         "XML puts keys first and in the order of `key` (RFC 7950 section 7.8.5): readers expect the same here.",
         "Move the key leafs to the top of the list."),
    Rule("NMS501", _N, _N, "COST", "cost: local",
         "The expression looks at its own entry and what is above: its price does not depend on the data's size.",
         "Nothing to do."),
    Rule("NMS502", _N, _N, "COST", "cost: look-up",
         "The expression finds entries by all their keys: its price hardly depends on the data's size.",
         "Nothing to do."),
    Rule("NMS503", _N, _N, "COST", "cost: whole list",
         "Each evaluation reads all entries of a list: evaluated for each entry, it costs the square of their number.",
         "Fix all keys by predicates (`entry[id = current()/../id]`), use leafref or unique, or bound the list."),
    Rule("NMS504", _W, _E, "PATH", "cost: whole datastore",
         "Each evaluation may read everything, and every change of anything evaluates it again.",
         "Write the path out from the root or by '..', without '//' and without instance-identifiers behind deref()."),
    Rule("NMS505", _W, _N, "COST", "cost: one change, a whole list of evaluations",
         "After some edit elsewhere the constraint is evaluated for every entry of the list that it stands in.",
         "Let it look at its own entry, or put it where the edited node is; what is edited rarely can stay as it is."),
    Rule("NMS601", _N, _E, "DATA", "the module has no example",
         "An example is the shortest documentation, and the first test.",
         "Write examples/NAME.json beside the module: `nms model sample NAME` gives a start."),
    Rule("NMS602", _E, _E, "DATA", "the example cannot be read",
         "Readers copy it as it is.",
         "Correct the JSON (RFC 7951) or XML at the line named."),
    Rule("NMS603", _E, _E, "DATA", "the example does not fit the schema",
         "It shows what a server refuses.",
         "Correct the name or the value at the path named; `nms model tree` shows what there is."),
    Rule("NMS604", _E, _E, "DATA", "the example breaks a constraint",
         "It shows what a server refuses.",
         "Correct the example, or the must, when, leafref or unique that refuses it."),
    Rule("NMS701", _W, _W, "OWNER", "configuration that no provider owns",
         "Clients may set it and are told ok, and nothing happens: the server has no code that acts on it.",
         "Name the node in the paths of the provider that acts on it, take it out of the model, or make it state."),
)}  # fmt: skip

#: pyang's tags -> our codes; the first pattern that matches counts.
_PYANG: Final = (
    ("UNEXPECTED_KEYWORD_CANONICAL*", "NMS201"), ("UNEXPECTED_KEYWORD_AUGMENT", "NMS109"),
    ("UNEXPECTED_KEYWORD_USES", "NMS109"),
    ("EXPECTED_*", "NMS101"), ("UNEXPECTED_*", "NMS101"), ("UNKNOWN_KEYWORD", "NMS101"), ("EOF_ERROR", "NMS101"),
    ("INCOMPLETE_STATEMENT", "NMS101"), ("SYNTAX_ERROR", "NMS101"), ("TRAILING_GARBAGE", "NMS101"),
    ("ILLEGAL_ESCAPE", "NMS101"), ("BAD_VALUE", "NMS101"), ("MISSING_ARGUMENT*", "NMS101"), ("READ_ERROR", "NMS101"),
    ("MODULE_NOT_FOUND*", "NMS102"), ("MODULE_NOT_IMPORTED", "NMS102"), ("BAD_IMPORT*", "NMS102"),
    ("BAD_INCLUDE*", "NMS102"), ("BAD_SUB_BELONGS_TO", "NMS102"), ("MISSING_INCLUDE", "NMS102"),
    ("XPATH_*", "NMS107"), ("LEAFREF_*", "NMS107"), ("STRICT_XPATH*", "NMS107"),
    ("*_NOT_FOUND", "NMS103"), ("*NOT_DEFINED", "NMS103"),
    ("DUPLICATE_KEY", "NMS106"), ("DUPLICATE_UNIQUE", "NMS106"), ("DUPLICATE_DEFAULT", "NMS110"),
    ("DUPLICATE_*", "NMS104"), ("*_ALREADY_*", "NMS104"), ("MULTIPLE_REFINE", "NMS104"),
    ("RANGE_BOUNDS", "NMS105"), ("LENGTH_BOUNDS", "NMS105"), ("TYPE_VALUE", "NMS105"), ("PATTERN_ERROR", "NMS105"),
    ("BAD_RESTRICTION", "NMS105"), ("MISSING_TYPE_SPEC*", "NMS105"), ("BAD_TYPE*", "NMS105"), ("*ENUM_*", "NMS105"),
    ("*BIT_POSITION", "NMS105"),
    ("NEED_KEY*", "NMS106"), ("KEY_HAS_*", "NMS211"), ("KEY_*", "NMS106"), ("BAD_KEY", "NMS106"),
    ("BAD_UNIQUE*", "NMS106"),
    ("CIRCULAR_DEPENDENCY", "NMS108"),
    ("BAD_NODE_IN_*", "NMS109"), ("BAD_TARGET_NODE", "NMS109"), ("BAD_REFINEMENT", "NMS109"),
    ("BAD_DEVIATE_*", "NMS109"), ("AUGMENT_MANDATORY", "NMS109"),
    ("DEFAULT_*", "NMS110"), ("MANDATORY_NODE*", "NMS110"), ("INVALID_CONFIG", "NMS110"),
    ("BAD_DEFAULT_VALUE", "NMS110"), ("MAX_ELEMENTS*", "NMS110"),
    ("LONG_LINE", "NMS202"), ("LONG_IDENTIFIER", "NMS203"), ("LINT_NOT_HYPHENATED", "NMS204"),
    ("LINT_EXPLICIT_DEFAULT", "NMS205"), ("LINT_NO_MODULENAME_PREFIX", "NMS206"), ("LINT_TOP_MANDATORY", "NMS207"),
    ("REVISION_ORDER", "NMS208"), ("LINT_BAD_REVISION", "NMS208"),
    ("*BAD_MODULE_NAME", "NMS209"), ("*BAD_REVISION", "NMS209"),
    ("LINT_MISSING_RECOMMENDED_SUBSTMT", "NMS307"),
    ("UNUSED_IMPORT", "NMS304"), ("UNUSED_TYPEDEF", "NMS305"), ("UNUSED_GROUPING", "NMS306"),
)  # fmt: skip

_HEAD: Final = ("contact", "organization", "revision")


def code_of_pyang(tag: str, text: str, *, error: bool) -> str:
    """Our code for one of pyang's findings.

    Args:
        text: its message, which says what substatement is missing.
        error: what to take a tag for that the table does not have.
    """
    if tag == "LINT_MISSING_REQUIRED_SUBSTMT":
        wanted = text.rpartition('have a "')[2].partition('"')[0]
        return "NMS210" if wanted in _HEAD or 'statement "module"' in text else _MISSING.get(wanted, "NMS301")
    found = next((code for pattern, code in _PYANG if fnmatchcase(tag, pattern)), None)
    return found or ("NMS111" if error else "NMS211")


_MISSING: Final = {"reference": "NMS302", "description": "NMS301"}
