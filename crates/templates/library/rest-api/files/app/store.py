"""Keeps items in SQLite. Names of columns come from the schema and are quoted; values are always bound."""
import datetime
import pathlib
import re
import sqlite3
import threading

from app.schema import FIELDS, TABLE

COLUMN_TYPES = {"integer": "INTEGER", "number": "REAL", "boolean": "INTEGER"}


class Taken(Exception):
    """Another one has the same in a field that is unique."""

    def __init__(self, error):
        self.field = str(error).rpartition(".")[2]
        super().__init__(f"another one has this {self.field}")


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


COLUMNS = [quoted(field.name) for field in FIELDS]
TEXTS = [quoted(field.name) for field in FIELDS if field.type in ("text", "email", "url")]
SELECT = "SELECT " + ", ".join(["id", *COLUMNS, "created_at", "updated_at"]) + " FROM " + quoted(TABLE)
INSERT = (
    "INSERT INTO " + quoted(TABLE) + " (" + ", ".join([*COLUMNS, "created_at", "updated_at"]) + ") VALUES (" + ", ".join("?" for _ in range(len(COLUMNS) + 2)) + ")"
)


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """One connection, used by one thread at a time."""

    def __init__(self, directory):
        path = pathlib.Path(directory)
        path.mkdir(parents=True, exist_ok=True)
        self.lock = threading.Lock()
        self.connection = sqlite3.connect(path / "data.sqlite", check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        columns = [f"{quoted(field.name)} {COLUMN_TYPES.get(field.type, 'TEXT')}" for field in FIELDS]
        columns = ["id INTEGER PRIMARY KEY AUTOINCREMENT", *columns, "created_at TEXT NOT NULL", "updated_at TEXT NOT NULL"]
        create = "CREATE TABLE IF NOT EXISTS " + quoted(TABLE) + " (" + ", ".join(columns) + ")"
        with self.lock, self.connection:
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute(create)
            for field in FIELDS:
                if field.unique:
                    index = f"CREATE UNIQUE INDEX IF NOT EXISTS {quoted(TABLE + '_' + field.name)} ON {quoted(TABLE)} ({quoted(field.name)})"
                    self.connection.execute(index)

    def close(self):
        with self.lock:
            self.connection.close()

    def check(self):
        with self.lock:
            self.connection.execute("SELECT 1")

    def list(self, limit, after, words=()):
        """A page of what has all the words in its texts, and the cursor of the next one."""
        where, values = " WHERE id > ?", [after]
        for word in words:
            where += " AND (" + " OR ".join(f"{column} LIKE ? ESCAPE '!'" for column in TEXTS) + ")"
            values += ["%" + re.sub("[!%_]", r"!\g<0>", word) + "%"] * len(TEXTS)
        with self.lock:
            rows = self.connection.execute(SELECT + where + " ORDER BY id LIMIT ?", [*values, limit + 1]).fetchall()
        items = [item(row) for row in rows[:limit]]
        return items, items[-1]["id"] if len(rows) > limit else None

    def get(self, number):
        with self.lock:
            return self._get(number)

    def _get(self, number):
        row = self.connection.execute(SELECT + " WHERE id = ?", (number,)).fetchone()
        return None if row is None else item(row)

    def create(self, values):
        moment = now()
        with self.lock, self.connection:
            cursor = self._write(INSERT, [*(values[field.name] for field in FIELDS), moment, moment])
            return self._get(cursor.lastrowid)

    def _write(self, statement, values):
        try:
            return self.connection.execute(statement, values)
        except sqlite3.IntegrityError as error:
            raise Taken(error) from None

    def update(self, number, values):
        """The item after the change; None when there is none."""
        names = [*values, "updated_at"]
        change = "UPDATE " + quoted(TABLE) + " SET " + ", ".join(f"{quoted(name)} = ?" for name in names) + " WHERE id = ?"
        with self.lock, self.connection:
            self._write(change, [*values.values(), now(), number])
            return self._get(number)

    def delete(self, number):
        remove = "DELETE FROM " + quoted(TABLE) + " WHERE id = ?"
        with self.lock, self.connection:
            return self.connection.execute(remove, (number,)).rowcount == 1


def item(row):
    result = dict(row)
    for field in FIELDS:
        if field.type == "boolean" and result[field.name] is not None:
            result[field.name] = bool(result[field.name])
    return result
