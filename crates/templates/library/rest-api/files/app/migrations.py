"""Brings the database to this version of the code, forward or back. Every step keeps what it takes away under a name that begins with
`_v`, and writes down how to undo it: code that is older than the data can go back without knowing the step."""
import hashlib
import json
import pathlib
import re
import sqlite3

from app.validation import TYPES

STEPS = pathlib.Path(__file__).parent / "migrations"
# What blocks keep of items, by the name of their table.
BESIDE = ("_file", "_change", "_payment")
COLUMN_TYPES = {"integer": "INTEGER", "number": "REAL", "boolean": "INTEGER", "reference": "INTEGER"}


class Impossible(Exception):
    """The data cannot be brought there; it stays as it was."""


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def convert(value, kind):
    """A value as another type holds it; None where it cannot."""
    converted = None if value is None else converted_to(str(value).strip(), kind)
    try:
        if converted is not None:
            TYPES[kind](bool(converted) if kind == "boolean" else converted)
    except ValueError:
        return None
    return converted


def converted_to(text, kind):
    try:
        if kind in ("integer", "number", "reference") and not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
            return None
        if kind == "reference":
            return int(text)
        if kind == "integer":
            number = float(text)
            return int(number) if number.is_integer() and abs(number) < 2**53 else None
        if kind == "number":
            return float(text)
        if kind == "boolean":
            return {"1": 1, "true": 1, "yes": 1, "done": 1, "0": 0, "false": 0, "no": 0}.get(text.lower())
        if kind in ("date", "datetime"):
            match = re.fullmatch(r"(\d{4}-\d{2}-\d{2})(T.*)?", text)
            if not match:
                return None
            return match[1] if kind == "date" else text if match[2] else f"{text}T00:00:00Z"
    except ValueError:
        return None
    return text


def known():
    """(version, steps), oldest first."""
    return [(int(path.stem), json.loads(path.read_text())) for path in sorted(STEPS.glob("*.json"))]


def migrate(connection, migrations=None):
    """In one transaction; returns the version it was and the one it is."""
    migrations = known() if migrations is None else migrations
    connection.create_function("convert", 2, convert, deterministic=True)
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE IF NOT EXISTS _migration (version INTEGER PRIMARY KEY, undo TEXT NOT NULL, digest TEXT NOT NULL)")
        applied = {row[0]: row[1:] for row in connection.execute("SELECT version, undo, digest FROM _migration ORDER BY version")}
        target = migrations[-1][0] if migrations else 0
        # What was done under the same number but was something else is undone too, with all that came after it.
        common = next((version - 1 for version, steps in migrations if version in applied and applied[version][1] != digest(steps)), target)
        for version in sorted((version for version in applied if version > common), reverse=True):
            for entry in json.loads(applied[version][0]):
                undo_one(connection, entry)
            connection.execute("DELETE FROM _migration WHERE version = ?", (version,))
        for version, steps in migrations:
            if version > common or version not in applied:
                undo = []
                for at, step in enumerate(steps):
                    # Begins the names under which this step keeps something: others for another step in its place.
                    mark = f"_v{version}_{digest([steps, at])[:8]}_"
                    undo = OPERATIONS[step["op"]](connection, mark, step) + undo
                connection.execute("INSERT INTO _migration (version, undo, digest) VALUES (?, ?, ?)", (version, json.dumps(undo), digest(steps)))
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise Impossible(f"{len(broken)} references would lead nowhere")
        connection.execute("COMMIT")
        return max(applied, default=0), target
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def digest(steps):
    return hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()


def undo_one(connection, entry):
    """A statement; or one for a table that may not be there, or a count of what would be lost, which must be none."""
    try:
        if isinstance(entry, str):
            connection.execute(entry)
        elif "table" in entry:
            if has_table(connection, entry["table"]):
                connection.execute(entry["do"])
        elif (lost := connection.execute(entry["none"]).fetchone()[0]) > 0:
            raise Impossible(f"{lost} {entry['why']}")
    except sqlite3.IntegrityError as error:
        raise Impossible(f"the way back is barred: {error}") from None


def beside(connection, old, new):
    """What blocks keep of the items of a table goes along with its name; how, for the way back."""

    def renames(table, old, new):
        return f"UPDATE {quoted(table)} SET resource = '{new}' WHERE resource = '{old}'"

    for table in BESIDE:
        if has_table(connection, table):
            run(connection, renames(table, old, new))
    return [{"table": table, "do": renames(table, new, old)} for table in BESIDE]


def has_column(connection, table, name):
    return any(row[1] == name for row in connection.execute(f"PRAGMA table_info({quoted(table)})"))


def has_table(connection, name):
    return connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone() is not None


def run(connection, statement):
    connection.execute(statement)


def rename_column(table, old, new):
    return f"ALTER TABLE {quoted(table)} RENAME COLUMN {quoted(old)} TO {quoted(new)}"


def rename_table(old, new):
    return f"ALTER TABLE {quoted(old)} RENAME TO {quoted(new)}"


def definition(column):
    text = f"{quoted(column['name'])} {COLUMN_TYPES.get(column['type'], 'TEXT')}"
    return text + (f" REFERENCES {quoted(column['references'])}(id)" if column.get("references") else "")


def create_table(connection, mark, step):
    table, kept = step["table"], mark + step["table"]
    if has_table(connection, kept):
        run(connection, rename_table(kept, table))
        beside(connection, kept, table)
    else:
        columns = ["id INTEGER PRIMARY KEY AUTOINCREMENT", *map(definition, step["columns"]), "created_at TEXT NOT NULL", "updated_at TEXT NOT NULL", "owner INTEGER"]
        run(connection, f"CREATE TABLE {quoted(table)} ({', '.join(columns)})")
    return [rename_table(table, kept), *({"table": side, "do": f"UPDATE {quoted(side)} SET resource = '{kept}' WHERE resource = '{table}'"} for side in BESIDE)]


def drop_table(connection, mark, step):
    table, kept = step["table"], mark + step["table"]
    run(connection, rename_table(table, kept))
    return [rename_table(kept, table), *beside(connection, table, kept)]


def rename_resource(connection, _mark, step):
    run(connection, rename_table(step["from"], step["to"]))
    return [rename_table(step["to"], step["from"]), *beside(connection, step["from"], step["to"])]


def add_column(connection, mark, step):
    table, column = step["table"], step["column"]
    kept = mark + column["name"]
    if has_column(connection, table, kept):
        run(connection, rename_column(table, kept, column["name"]))
    else:
        run(connection, f"ALTER TABLE {quoted(table)} ADD COLUMN {definition(column)}")
        if step.get("default") is not None:
            connection.execute(f"UPDATE {quoted(table)} SET {quoted(column['name'])} = ?", (step["default"],))
    return [rename_column(table, column["name"], kept)]


def drop_column(connection, mark, step):
    table, name, kept = step["table"], step["name"], mark + step["name"]
    run(connection, rename_column(table, name, kept))
    return [rename_column(table, kept, name)]


def rename_field(connection, _mark, step):
    run(connection, rename_column(step["table"], step["from"], step["to"]))
    return [rename_column(step["table"], step["to"], step["from"])]


def retype_column(connection, mark, step):
    column, before = step["column"], step["from"]
    table, name, kept = quoted(step["table"]), quoted(column["name"]), mark + column["name"]
    count = f"SELECT count(*) FROM {table} WHERE {name} IS NOT NULL AND convert({name}, ?) IS NULL"
    (lost,) = connection.execute(count, (column["type"],)).fetchone()
    if lost:
        raise Impossible(f"{lost} values of {column['name']} cannot be a {column['type']}")
    run(connection, rename_column(step["table"], column["name"], kept))
    run(connection, f"ALTER TABLE {table} ADD COLUMN {definition(column)}")
    fill = f"UPDATE {table} SET {name} = convert({quoted(kept)}, ?)"
    connection.execute(fill, (column["type"],))
    # What was not changed since is what it was; the rest is converted back.
    back = f"UPDATE {table} SET {quoted(kept)} = convert({name}, '{before}') WHERE convert({quoted(kept)}, '{column['type']}') IS NOT {name}"
    lost = f"SELECT count(*) FROM {table} WHERE {name} IS NOT NULL AND convert({name}, '{before}') IS NULL"
    return [{"none": lost, "why": f"values of {column['name']} cannot be a {before}; change those first"}, back, f"ALTER TABLE {table} DROP COLUMN {name}", rename_column(step["table"], kept, column["name"])]


def unique(connection, _mark, step):
    index = quoted(f"{step['table']}_{step['name']}_unique")
    # Of each owner: nobody learns what others have.
    create = f"CREATE UNIQUE INDEX {index} ON {quoted(step['table'])} (ifnull(owner, 0), {quoted(step['name'])})"
    drop = f"DROP INDEX {index}"
    if not step["on"]:
        run(connection, drop)
        return [create]
    try:
        run(connection, create)
    except sqlite3.IntegrityError:
        raise Impossible(f"{step['name']} cannot be unique: some have the same") from None
    return [drop]


def check(connection, _mark, step):
    """That what is there may stay: a rule that is stricter than the one before changes no data."""
    table, column, rules = quoted(step["table"]), quoted(step["column"]["name"]), step["rules"]
    size = f"length({column})" if step["column"]["type"] in ("text", "email", "url") else column
    wrong, values = [], []
    if rules["required"]:
        wrong.append(f"{column} IS NULL")
    if rules["choices"]:
        wrong.append(f"({column} IS NOT NULL AND {column} NOT IN ({', '.join('?' * len(rules['choices']))}))")
        values += rules["choices"]
    for bound, operator in (("least", "<"), ("most", ">")):
        if rules[bound] is not None:
            wrong.append(f"{size} {operator} ?")
            values.append(rules[bound])
    count = f"SELECT count(*) FROM {table} WHERE {' OR '.join(wrong) or '0'}"
    (broken,) = connection.execute(count, values).fetchone()
    if broken:
        raise Impossible(f"{broken} of the rows of {step['table']} have no such {step['column']['name']} as is asked for; change those first")
    return []


def own(_connection, _mark, step):
    """There is login from now on: what is there is nobody's until somebody claims it. Without login everybody would see what is somebody's."""
    owned = f"SELECT count(*) FROM {quoted(step['table'])} WHERE owner IS NOT NULL"
    return [{"none": owned, "why": f"rows of {step['table']} belong to somebody; delete those first"}]


OPERATIONS = {
    "create_table": create_table,
    "drop_table": drop_table,
    "rename_table": rename_resource,
    "add_column": add_column,
    "drop_column": drop_column,
    "rename_column": rename_field,
    "retype_column": retype_column,
    "unique": unique,
    "check": check,
    "own": own,
}
