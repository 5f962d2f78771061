"""`nms model`: what a model author asks about YANG modules and instance files, without a daemon.

Exit codes: 0 clean, 1 something of severity error was found, 2 the command or a file's name is wrong.  The tools are
imported when a command runs: the rest of the command line does not wait for them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nms.commands import model_compat, model_doc, output
from nms.errors import ConfigError

if TYPE_CHECKING:
    from nms.model.schema import Schema
    from tools.model.finding import Finding


def add(commands: Any) -> None:
    """Add the sub-commands."""
    model = commands.add_parser("model", help="check and compare YANG models", description="Tools for model authors.")
    topics = model.add_subparsers(required=True, metavar="TOPIC")
    for adding in (
        _add_check,
        _add_explain,
        model_compat.add,
        _add_validate,
        _add_tree,
        _add_sample,
        _add_diff,
        _add_openapi,
        model_doc.add,
    ):
        adding(topics)


def _path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--path", action="append", type=Path, default=[], metavar="DIR", help="a folder of imported modules; repeatable"
    )


def _add_check(topics: Any) -> None:
    parser = topics.add_parser("check", help="validate and lint modules", description="Check YANG modules of any kind.")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a YANG file, or a folder of them")
    _path(parser)
    parser.add_argument("--all", action="store_true", help="show notes too: the cost class of every XPath")
    parser.add_argument(
        "--owners", type=Path, metavar="FILE", help="the schema paths that a server's providers name, one a line"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="all findings as JSON")
    form.add_argument("--sarif", action="store_true", help="all findings as SARIF 2.1.0")
    parser.set_defaults(run=_check)


def _check(args: argparse.Namespace) -> int:
    from tools.model import check, finding

    owners = None
    if args.owners is not None:
        try:
            owners = args.owners.read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--owners {args.owners}: {getattr(error, 'strerror', '') or 'not UTF-8'}") from None
    findings = check.check(args.paths, args.path, owners=owners)
    if args.json:
        output.show_json(finding.as_json(findings))
    elif args.sarif:
        output.show_json(finding.as_sarif(findings, version("mec-nms")))
    else:
        for found in finding.at_least(findings, "note" if args.all else "warning"):
            output.say(str(found))
        output.say(_summary(findings))
    return int(finding.worst(findings) == "error")


def _summary(findings: Sequence[Finding]) -> str:
    counts = {severity: sum(f.severity == severity for f in findings) for severity in ("error", "warning", "note")}
    text = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items() if count)
    return f"{text}: `nms model explain CODE` says why and the way out" if text else "clean"


def _add_explain(topics: Any) -> None:
    parser = topics.add_parser("explain", help="what a code means", description="Explain a code, or list all codes.")
    parser.add_argument("code", nargs="?", help="for instance NMS303; all of them without it")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=_explain)


def _explain(args: argparse.Namespace) -> int:
    from tools.model.rules import RULES

    if args.code is not None and args.code.upper() not in RULES:
        raise ConfigError(f"there is no code {args.code!r}: `nms model explain` lists them")
    rules = [RULES[args.code.upper()]] if args.code else list(RULES.values())
    if args.json:
        output.show_json(
            [{n: getattr(r, n) for n in ("code", "severity", "ours", "title", "why", "remedy")} for r in rules]
        )
    elif args.code is None:
        output.table(("code", "severity", "what"), [(r.code, r.severity, r.title) for r in rules], empty="")
    else:
        (rule,) = rules
        ours = f", {rule.ours} in our namespace" if rule.ours != rule.severity else ""
        for line in (
            f"{rule.code} ({rule.severity}{ours}): {rule.title}",
            f"why      {rule.why}",
            f"way out  {rule.remedy}",
        ):
            output.say(line)
    return 0


def _modules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--module", action="append", default=[], metavar="NAME",
        help="a module, NAME:feature,feature or NAME:*; repeatable (default: all modules in the folders)",
    )  # fmt: skip


def _schema(args: argparse.Namespace) -> Schema:
    from tools.model.engine import valid
    from tools.model.parsed import files_of

    if not args.module and not args.path:
        raise ConfigError("name the modules: --module NAME, and --path DIR for those that are not standard ones")
    modules = args.module or [file.name.partition("@")[0].removesuffix(".yang") for file in files_of(args.path)]
    return valid(args.path, modules)


def _add_validate(topics: Any) -> None:
    parser = topics.add_parser("validate", help="validate instance data", description="Validate XML or JSON files.")
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA", help="a file of XML or RFC 7951 JSON")
    _path(parser)
    _modules(parser)
    parser.add_argument("--type", choices=["data", "config", "rpc", "notification", "edit"], default="data")
    parser.add_argument("--onto", type=Path, metavar="DATA", help="with --type edit: the configuration it would change")
    parser.add_argument("--json", action="store_true", help="what is wrong as JSON")
    parser.set_defaults(run=_validate)


def _validate(args: argparse.Namespace) -> int:
    from tools.model import edits, instances
    from tools.model.finding import shown

    schema = _schema(args)
    if (args.type == "edit") != (args.onto is not None):
        raise ConfigError("an edit is judged by what it changes: --type edit and --onto DATA go together")
    if args.type == "edit":
        faults = [(file, fault) for file in args.data for fault in edits.check_edit(schema, file, args.onto)]
    else:
        faults = [(file, fault) for file in args.data for fault in instances.check_file(schema, file, args.type)]
    if args.json:
        rows = [
            {
                "file": shown(file), "line": fault.line, "path": fault.error.path, "error-tag": fault.error.tag,
                "error-app-tag": fault.error.app_tag, "message": fault.error.message,
            }
            for file, fault in faults
        ]  # fmt: skip
        output.show_json(rows)
        return int(bool(faults))
    for file, fault in faults:
        output.say(f"{shown(file)}:{fault.line}: {fault.error.tag} {fault.message}")
    if not faults:
        output.say("valid")
    return int(bool(faults))


def _add_tree(topics: Any) -> None:
    parser = topics.add_parser("tree", help="show the tree of modules", description="Tree diagrams (RFC 8340).")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a YANG file, or a folder of them")
    _path(parser)
    parser.add_argument("--depth", type=int, help="levels to show")
    parser.add_argument("--at", metavar="PATH", help="the subtree at a path, as in /interfaces/interface")
    parser.set_defaults(run=_tree)


def _tree(args: argparse.Namespace) -> int:
    from tools.model import parsed

    output.say(parsed.tree(args.paths, args.path, depth=args.depth, at=args.at))
    return 0


def _add_sample(topics: Any) -> None:
    parser = topics.add_parser("sample", help="a valid instance", description="Show a sample instance of a module.")
    parser.add_argument("name", metavar="MODULE", help="a module, MODULE:feature,feature or MODULE:*")
    _path(parser)
    parser.add_argument("--module", action="append", default=[], metavar="NAME", help="another module to load")
    parser.add_argument("--xml", action="store_true", help="XML in place of JSON")
    parser.set_defaults(run=_sample)


def _sample(args: argparse.Namespace) -> int:
    from nms.model import json, xml
    from tools.model.engine import valid
    from tools.model.sample import sample

    schema = valid(args.path, [args.name, *args.module])
    value = sample(schema, args.name.partition(":")[0])
    if args.xml:
        output.say(_pretty(b"<data>" + xml.encode(schema.root, value) + b"</data>"))
    else:
        output.show_json(json.plain(schema.root, value))
    return 0


def _pretty(document: bytes) -> str:
    from lxml import etree

    element = etree.fromstring(document)
    etree.indent(element)
    return etree.tostring(element, encoding="unicode")


def _add_diff(topics: Any) -> None:
    parser = topics.add_parser("diff", help="an edit between two files", description="Show OLD to NEW as edit-config.")
    parser.add_argument("old", type=Path, metavar="OLD", help="configuration as XML or RFC 7951 JSON")
    parser.add_argument("new", type=Path, metavar="NEW", help="configuration as XML or RFC 7951 JSON")
    _path(parser)
    _modules(parser)
    parser.set_defaults(run=_diff)


def _diff(args: argparse.Namespace) -> int:
    from lxml import etree

    from tools.model.edit_config import edit_config
    from tools.model.instances import read

    schema = _schema(args)
    values = []
    for file in (args.old, args.new):
        value, faults = read(schema, file, "config")
        for fault in faults:
            output.complain(f"{file}:{fault.line}: {fault.message}")
        if faults:
            return 1
        values.append(value)
    config = edit_config(schema, *values)
    if config is not None:
        output.say(_pretty(etree.tostring(config)))
    return 0


def _add_openapi(topics: Any) -> None:
    parser = topics.add_parser(
        "openapi", help="RESTCONF as OpenAPI", description="OpenAPI 3.1 of RESTCONF with some modules (RFC 8040)."
    )
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="MODULE, MODULE:feature,feature or MODULE:*; none: our own"
    )
    _path(parser)
    parser.add_argument("--leafs", action="store_true", help="a path for each leaf too")
    parser.add_argument("--json", action="store_true", help="the document, in place of what it offers in brief")
    parser.set_defaults(run=_openapi)


def _openapi(args: argparse.Namespace) -> int:
    from nms.config import YANG_DIR
    from tools.model.engine import valid
    from tools.model.parsed import files_of
    from tools.openapi.document import document

    own = [f"{file.name.partition('@')[0].removesuffix('.yang')}:*" for file in files_of([YANG_DIR])]
    modules = args.modules or sorted(dict.fromkeys(own))
    schema = valid([*args.path, YANG_DIR], modules)
    described = document(schema, [name.partition(":")[0] for name in args.modules], leafs=args.leafs)
    if args.json:
        output.show_json(described)
        return 0
    rows = [
        (path, " ".join(method.upper() for method in item if method != "parameters"))
        for path, item in described["paths"].items()
    ]
    output.table(("path", "methods"), rows, empty="these modules define no data nodes and no rpcs")
    return 0
