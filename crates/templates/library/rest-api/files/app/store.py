"""Keeps items in SQLite. Names of tables and columns come from the schema and are quoted; values are always bound."""
import contextlib
import pathlib
import re
import sqlite3
import threading

from app.blocks import hooks
from app.errors import HttpError, Invalid, Missing, Taken
from app.migrations import migrate, quoted
from app.schema import RESOURCES
from app.times import now


class Store:
    """One connection, used by one thread at a time. `owner` is who an item belongs to; none where everybody sees everything."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.lock, self.depth = threading.RLock(), 0
        self.connection = sqlite3.connect(self.directory / "data.sqlite", check_same_thread=False, isolation_level=None, timeout=10)
        self.connection.row_factory = sqlite3.Row
        with self.lock:
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            migrate(self.connection)
            with self.transaction():
                for tables in hooks("tables"):
                    tables(self.connection)

    @contextlib.contextmanager
    def transaction(self):
        """One within another is a part of it: undone alone, committed with it."""
        with self.lock:
            begin, commit, undo = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
            if self.depth:
                begin, commit, undo = (f"{word} part_{self.depth}" for word in ("SAVEPOINT", "RELEASE", "ROLLBACK TO"))
            self.connection.execute(begin)
            self.depth += 1
            try:
                yield self.connection
                self.connection.execute(commit)
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute(undo)
                raise
            finally:
                self.depth -= 1

    def close(self):
        with self.lock:
            self.connection.close()

    def check(self):
        with self.lock:
            self.connection.execute("SELECT 1")

    def list(self, resource, owner, limit, after, words=(), where=None):
        """A page of what has all the words in its texts, and the cursor of the next one. `where`: fields with the values they have."""
        condition, values = " WHERE id > ? AND owner IS ?", [after, owner]
        for name, value in (where or {}).items():
            condition += f" AND {quoted(name)} = ?"
            values.append(value)
        texts = [quoted(field.name) for field in resource.fields if field.type in ("text", "email", "url")]
        for word in words:
            condition += " AND (" + (" OR ".join(f"{column} LIKE ? ESCAPE '!'" for column in texts) or "0") + ")"
            values += ["%" + re.sub("[!%_]", r"!\g<0>", word) + "%"] * len(texts)
        with self.lock:
            rows = self.connection.execute(select(resource) + condition + " ORDER BY id LIMIT ?", [*values, limit + 1]).fetchall()
        items = [item(resource, row) for row in rows[:limit]]
        return items, items[-1]["id"] if len(rows) > limit else None

    def get(self, resource, owner, number):
        with self.lock:
            row = self.connection.execute(select(resource) + " WHERE id = ? AND owner IS ?", (number, owner)).fetchone()
        if row is None:
            raise Missing(resource.singular)
        return item(resource, row)

    def create(self, resource, owner, values):
        names = [field.name for field in resource.fields]
        columns = ", ".join(map(quoted, [*names, "created_at", "updated_at", "owner"]))
        insert = f"INSERT INTO {quoted(resource.table)} ({columns}) VALUES ({', '.join('?' * (len(names) + 3))})"
        moment = now()
        with self.transaction() as connection:
            self.check_references(resource, owner, values)
            cursor = write(connection, insert, [*(values[name] for name in names), moment, moment, owner])
            return self._changing("created", resource, owner, cursor.lastrowid)

    def update(self, resource, owner, number, values):
        """The item after the change."""
        names = [*values, "updated_at"]
        change = f"UPDATE {quoted(resource.table)} SET {', '.join(f'{quoted(name)} = ?' for name in names)} WHERE id = ? AND owner IS ?"
        with self.transaction() as connection:
            self.get(resource, owner, number)
            self.check_references(resource, owner, values)
            write(connection, change, [*values.values(), now(), number, owner])
            return self._changing("changed", resource, owner, number)

    def delete(self, resource, owner, number):
        """Returns what it was."""
        with self.transaction() as connection:
            was = self.get(resource, owner, number)
            for other, field in referring(resource):
                if connection.execute(f"SELECT 1 FROM {quoted(other.table)} WHERE {quoted(field.name)} = ? LIMIT 1", (number,)).fetchone():
                    raise HttpError(409, "in_use", f"this {resource.singular} is the {field.name} of some {other.plural}; delete those first")
            connection.execute(f"DELETE FROM {quoted(resource.table)} WHERE id = ?", (number,))
            for changing in hooks("changing"):
                changing(connection, "deleted", resource, {**was, "owner": owner})
            return was

    def _changing(self, what, resource, owner, number):
        changed = self.get(resource, owner, number)
        for changing in hooks("changing"):
            changing(self.connection, what, resource, {**changed, "owner": owner})
        return changed

    def check_references(self, resource, owner, values):
        """That what is referred to is there, and the owner's."""
        missing = {}
        for field in resource.fields:
            if field.references and values.get(field.name) is not None:
                target = next(other for other in RESOURCES if other.path == field.references)
                try:
                    self.get(target, owner, values[field.name])
                except Missing as error:
                    missing[field.name] = str(error)
        if missing:
            raise Invalid(missing)


def referring(resource):
    """Every (resource, field) that refers to it."""
    return [(other, field) for other in RESOURCES for field in other.fields if field.references == resource.path]


def select(resource):
    return "SELECT " + ", ".join(["id", *(quoted(field.name) for field in resource.fields), "created_at", "updated_at"]) + " FROM " + quoted(resource.table)


def write(connection, statement, values):
    try:
        return connection.execute(statement, values)
    except sqlite3.IntegrityError as error:
        raise Taken(error) from None


def item(resource, row):
    result = dict(row)
    for field in resource.fields:
        if field.type == "boolean" and result[field.name] is not None:
            result[field.name] = bool(result[field.name])
    return result
