"""Parse all SQL and PL/pgSQL of the project with PostgreSQL's own parser, and check house rules.

Needs no server. Prints ``file:line: message`` for each finding and ends with status 1.

House rules, for ``sql/``: functions in PL/pgSQL and those that run as their owner pin their
search path; constraints and indexes have names; tables, views, types, columns, constraints and
public functions have comments.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pglast import ast, enums, parse_sql
from pglast.parser import ParseError, parse_plpgsql_json

ROOT = Path(__file__).resolve().parent.parent
DEFINITIONS = ROOT / "sql"
FUNCTIONS = DEFINITIONS / "functions"
INTERNAL = FUNCTIONS / "internal"
MIGRATIONS = ROOT / "alembic"
# Alembic decides what its own table looks like.
FOREIGN_TABLES = {"alembic_version"}

NAMED_CONSTRAINTS = {
    enums.ConstrType.CONSTR_CHECK,
    enums.ConstrType.CONSTR_EXCLUSION,
    enums.ConstrType.CONSTR_FOREIGN,
    enums.ConstrType.CONSTR_PRIMARY,
    enums.ConstrType.CONSTR_UNIQUE,
}
COMMENTED = {
    enums.ObjectType.OBJECT_TABLE: "table",
    enums.ObjectType.OBJECT_VIEW: "view",
    enums.ObjectType.OBJECT_TYPE: "type",
    enums.ObjectType.OBJECT_COLUMN: "column",
    enums.ObjectType.OBJECT_TABCONSTRAINT: "constraint",
    enums.ObjectType.OBJECT_FUNCTION: "function",
}


@dataclass(frozen=True, order=True)
class Finding:
    """Something wrong, and where."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Statement:
    """One parsed SQL statement."""

    file: Path
    line: int
    text: str
    node: ast.Node

    def finding(self, message: str) -> Finding:
        return Finding(self.file, self.line, message)


@dataclass(frozen=True)
class Named:
    """A database object: its kind as in COMMENT ON, and its dotted name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def without_psql(script: str) -> str:
    """Blank what only psql understands: meta-commands, and the colon of ``:'variable'``."""
    plain = re.sub(r"^\\.*$", "", script, flags=re.MULTILINE)
    return re.sub(r"(?<![:\w]):(?=['\"]\w)", " ", plain)


def line_of(script: str, position: int) -> int:
    return script.count("\n", 0, position) + 1


def read_statements(file: Path) -> tuple[list[Statement], list[Finding]]:
    script = without_psql(file.read_text(encoding="utf-8"))
    try:
        parsed = parse_sql(script)
    except ParseError as error:
        message, position = error.args
        return [], [Finding(file, line_of(script, position or 0), message)]
    statements = []
    for raw in parsed:
        end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(script)
        text = script[raw.stmt_location : end]
        # PostgreSQL counts the comments and blank lines before a statement as part of it.
        lead = re.match(r"(?:\s+|--[^\n]*(?:\n|$))*", text)
        start = raw.stmt_location + (lead.end() if lead else 0)
        statements.append(Statement(file, line_of(script, start), text, raw.stmt))
    return statements, []


def option(function: ast.CreateFunctionStmt, name: str) -> Iterator[ast.Node]:
    return (found.arg for found in function.options or () if found.defname == name)


def is_plpgsql(node: ast.Node) -> bool:
    if isinstance(node, ast.DoStmt):
        languages = [arg.arg.sval for arg in node.args if arg.defname == "language"]
        return languages in ([], ["plpgsql"])
    if isinstance(node, ast.CreateFunctionStmt):
        return any(language.sval == "plpgsql" for language in option(node, "language"))
    return False


def check_body(statement: Statement) -> Iterator[Finding]:
    if not is_plpgsql(statement.node):
        return
    # Without a server the parser takes a composite type of ours for any record, and refuses
    # arrays of that. The names of types do not matter for the syntax.
    text = re.sub(r"\b(?!array\b)\w+\[\]", "text[]", statement.text)
    try:
        parse_plpgsql_json(text)
    except ParseError as error:
        yield statement.finding(f"{error.args[0]} in the PL/pgSQL body that begins here")


def check_search_path(statement: Statement) -> Iterator[Finding]:
    node = statement.node
    if not isinstance(node, ast.CreateFunctionStmt):
        return
    as_owner = any(security.boolval for security in option(node, "security"))
    if not (as_owner or is_plpgsql(node)):
        return
    pinned = any(
        setting.name == "search_path" and setting.kind == enums.VariableSetKind.VAR_SET_CURRENT
        for setting in option(node, "set")
    )
    if not pinned:
        yield statement.finding(
            f"function {node.funcname[-1].sval} lacks: set search_path from current"
        )


def constraints_of(node: ast.Node) -> Iterator[tuple[str, ast.Constraint]]:
    """Yield the constraints that a statement makes, with the table or domain that they are on."""
    if isinstance(node, ast.CreateStmt):
        for element in node.tableElts or ():
            inside = [element] if isinstance(element, ast.Constraint) else element.constraints
            for constraint in inside or ():
                yield node.relation.relname, constraint
    elif isinstance(node, ast.AlterTableStmt):
        for command in node.cmds:
            if command.subtype == enums.AlterTableType.AT_AddConstraint:
                yield node.relation.relname, command.def_
    elif isinstance(node, ast.CreateDomainStmt):
        for constraint in node.constraints or ():
            yield node.domainname[-1].sval, constraint


def check_names(statement: Statement) -> Iterator[Finding]:
    node = statement.node
    if isinstance(node, ast.IndexStmt) and not node.idxname:
        yield statement.finding(f"an index on {node.relation.relname} has no name")
    for owner, constraint in constraints_of(node):
        if constraint.contype in NAMED_CONSTRAINTS and not constraint.conname:
            kind = constraint.contype.name.removeprefix("CONSTR_").lower()
            yield statement.finding(f"a {kind} constraint of {owner} has no name")


def is_public(statement: Statement) -> bool:
    return FUNCTIONS in statement.file.parents and INTERNAL not in statement.file.parents


def needing_comments(statement: Statement) -> Iterator[Named]:
    node = statement.node
    if isinstance(node, ast.CreateStmt) and node.relation.relname not in FOREIGN_TABLES:
        table = node.relation.relname
        yield Named("table", table)
        for element in node.tableElts or ():
            if isinstance(element, ast.ColumnDef):
                yield Named("column", f"{table}.{element.colname}")
    elif isinstance(node, ast.ViewStmt):
        yield Named("view", node.view.relname)
    elif isinstance(node, ast.CompositeTypeStmt):
        yield Named("type", node.typevar.relname)
    elif isinstance(node, ast.CreateFunctionStmt) and is_public(statement):
        yield Named("function", node.funcname[-1].sval)
    if not isinstance(node, ast.CreateDomainStmt):
        for table, constraint in constraints_of(node):
            if constraint.conname and table not in FOREIGN_TABLES:
                yield Named("constraint", f"{table}.{constraint.conname}")


def commented(node: ast.Node) -> Named | None:
    """Return the object that a COMMENT ON is about, if it is of a kind that needs one."""
    if not isinstance(node, ast.CommentStmt) or not node.comment:
        return None
    kind = COMMENTED.get(node.objtype)
    if kind is None:
        return None
    target = node.object
    if isinstance(target, ast.ObjectWithArgs):
        # No function is overloaded here, so its name will do.
        return Named(kind, target.objname[-1].sval)
    words = target.names if isinstance(target, ast.TypeName) else target
    depth = 2 if kind in {"column", "constraint"} else 1
    return Named(kind, ".".join(word.sval for word in words[-depth:]))


def check_comments(statements: list[Statement]) -> Iterator[Finding]:
    present = {commented(statement.node) for statement in statements}
    for statement in statements:
        for named in needing_comments(statement):
            if named not in present:
                yield statement.finding(f"{named} has no comment")


def main() -> int:
    definitions = sorted(DEFINITIONS.rglob("*.sql"))
    migrations = sorted(MIGRATIONS.rglob("*.sql"))
    findings: list[Finding] = []
    house: list[Statement] = []
    for file in [*definitions, *migrations]:
        statements, broken = read_statements(file)
        findings += broken
        for statement in statements:
            findings += check_body(statement)
        if file in definitions:
            house += statements
    for statement in house:
        findings += [*check_search_path(statement), *check_names(statement)]
    findings += check_comments(house)
    for finding in sorted(findings):
        print(finding, file=sys.stderr)
    print(f"Read {len(definitions)} files in sql/ and {len(migrations)} in alembic/.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
