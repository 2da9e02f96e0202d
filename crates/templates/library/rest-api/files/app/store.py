"""Keeps items in SQLite. Names of tables and columns come from the schema and are quoted; values are always bound."""
import contextlib
import pathlib
import re
import sqlite3
import threading

from app.blocks import hooks
from app.errors import HttpError, Invalid, Missing, Taken
from app.migrations import migrate, quoted
from app.schema import RESOURCES, referring
from app.times import after, now
from app.validation import INTEGER_MOST


class Store:
    """One connection, used by one thread at a time. `owner` is who an item belongs to; none where everybody sees everything."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.lock, self.depth = threading.RLock(), 0
        self.connection = sqlite3.connect(self.directory / "data.sqlite", check_same_thread=False, isolation_level=None, timeout=10)
        self.connection.row_factory = sqlite3.Row
        # The thread that writes just now reads what it wrote; the others read beside it what is committed.
        self.writer = None
        with self.lock:
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            migrate(self.connection)
            with self.transaction():
                for tables in hooks("tables"):
                    tables(self.connection)
        self.read_lock = threading.Lock()
        self.reader = sqlite3.connect(self.directory / "data.sqlite", check_same_thread=False, isolation_level=None, timeout=10)
        self.reader.row_factory = sqlite3.Row
        self.reader.execute("PRAGMA query_only = ON")

    @contextlib.contextmanager
    def transaction(self):
        """One within another is a part of it: undone alone, committed with it."""
        with self.lock:
            begin, commit, undo = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
            if self.depth:
                begin, commit, undo = (f"{word} part_{self.depth}" for word in ("SAVEPOINT", "RELEASE", "ROLLBACK TO"))
            self.connection.execute(begin)
            self.depth, self.writer = self.depth + 1, threading.get_ident()
            try:
                yield self.connection
                self.connection.execute(commit)
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute(undo)
                raise
            finally:
                self.depth -= 1
                if self.depth == 0:
                    self.writer = None

    @contextlib.contextmanager
    def reading(self):
        """A connection to read by; nobody who writes is waited for."""
        if self.writer == threading.get_ident():
            yield self.connection
        else:
            with self.read_lock:
                yield self.reader

    def close(self):
        with self.lock, self.read_lock:
            self.connection.close()
            self.reader.close()

    def check(self):
        with self.reading() as connection:
            connection.execute("SELECT count(*) FROM _migration")

    def list(self, resource, owner, limit, after, words=(), where=None):
        """A page of what has all the words in its texts, and the cursor of the next one. `where`: fields with the values they have."""
        condition, values = " WHERE id > ? AND owner IS ?", [after, owner]
        for name, value in (where or {}).items():
            condition += f" AND {column(resource, name)} = ?"
            values.append(value)
        texts = [column(resource, field.name) for field in resource.fields if field.type in ("text", "email", "url")]
        for word in words:
            condition += " AND (" + (" OR ".join(f"{text} LIKE ? ESCAPE '!'" for text in texts) or "0") + ")"
            values += ["%" + re.sub("[!%_]", r"!\g<0>", word) + "%"] * len(texts)
        with self.reading() as connection:
            rows = connection.execute(select(resource) + condition + " ORDER BY id LIMIT ?", [*values, limit + 1]).fetchall()
        items = [item(resource, row) for row in rows[:limit]]
        return items, items[-1]["id"] if len(rows) > limit else None

    def get(self, resource, owner, number):
        with self.reading() as connection:
            row = connection.execute(select(resource) + " WHERE id = ? AND owner IS ?", (number, owner)).fetchone()
        if row is None:
            raise Missing(resource.singular)
        return item(resource, row)

    def number(self, resource, owner, text):
        """The id in a path, where that item is there and the caller's."""
        if int(text) > INTEGER_MOST:
            raise Missing(resource.singular)
        return self.get(resource, owner, int(text))["id"]

    def create(self, resource, owner, values):
        names = [field.name for field in resource.fields]
        columns = ", ".join(map(quoted, [*names, "created_at", "updated_at", "owner"]))
        insert = f"INSERT INTO {quoted(resource.table)} ({columns}) VALUES ({', '.join('?' * (len(names) + 3))})"
        moment = now()
        with self.transaction() as connection:
            self.check_references(resource, owner, values)
            cursor = write(connection, resource, insert, [*(values[name] for name in names), moment, moment, owner])
            return self._changing("created", resource, owner, cursor.lastrowid)

    def update(self, resource, owner, number, values):
        """The item after the change."""
        names = [*values, "updated_at"]
        change = f"UPDATE {quoted(resource.table)} SET {', '.join(f'{quoted(name)} = ?' for name in names)} WHERE id = ? AND owner IS ?"
        with self.transaction() as connection:
            was = self.get(resource, owner, number)
            self.check_references(resource, owner, values)
            write(connection, resource, change, [*values.values(), after(was["updated_at"]), number, owner])
            return self._changing("changed", resource, owner, number)

    def delete(self, resource, owner, number):
        """Returns what it was."""
        with self.transaction() as connection:
            was = self.get(resource, owner, number)
            for other, field in referring(resource):
                if connection.execute(f"SELECT 1 FROM {quoted(other.table)} WHERE {quoted(field.name)} = ? LIMIT 1", (number,)).fetchone():
                    raise HttpError(409, "in_use", f"this {resource.singular} is the {field.name} of some {other.plural}; delete those first")
            forget(connection, resource, number)
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


def column(resource, name):
    """With its table before it: a name alone that is no column would be taken for a text."""
    return f"{quoted(resource.table)}.{quoted(name)}"


def select(resource):
    columns = ["id", *(f"{column(resource, field.name)} AS {quoted(field.name)}" for field in resource.fields), "created_at", "updated_at"]
    return f"SELECT {', '.join(columns)} FROM {quoted(resource.table)}"


def write(connection, resource, statement, values):
    try:
        return connection.execute(statement, values)
    except sqlite3.IntegrityError as error:
        index = re.search(rf"index '{re.escape(resource.table)}_(.+)_unique'", str(error))
        if not index:
            raise
        raise Taken(index[1]) from None


def forget(connection, resource, number):
    """What was kept of fields and tables that are no more may still refer to it."""
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for key in connection.execute(f"PRAGMA foreign_key_list({quoted(table)})").fetchall():
            if key["table"] == resource.table and (table.startswith("_v") or key["from"].startswith("_v")):
                connection.execute(f"UPDATE {quoted(table)} SET {quoted(key['from'])} = NULL WHERE {quoted(key['from'])} = ?", (number,))


def item(resource, row):
    result = dict(row)
    for field in resource.fields:
        if field.type == "boolean" and result[field.name] is not None:
            result[field.name] = bool(result[field.name])
    return result
