"""The data goes with the code, forward and back."""
import sqlite3
import unittest

from app.migrations import Impossible, convert, known, migrate
from app.schema import RESOURCES


def columns(connection, table):
    return {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")') if not row[1].startswith("_v")}


class SchemaTest(unittest.TestCase):
    def test_the_migrations_lead_to_the_schema_and_back(self):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(connection.close)
        for _ in range(2):
            migrate(connection)
            for resource in RESOURCES:
                expected = {"id", "created_at", "updated_at", "owner", *(field.name for field in resource.fields)}
                self.assertEqual(columns(connection, resource.table), expected)
                indexes = {row[1] for row in connection.execute(f'PRAGMA index_list("{resource.table}")')}
                self.assertEqual(indexes, {f"{resource.table}_{field.name}_unique" for field in resource.fields if field.unique})
            migrate(connection, [])
            for resource in RESOURCES:
                self.assertEqual(columns(connection, resource.table), set())
        migrate(connection, known())
        self.assertEqual(migrate(connection)[0], known()[-1][0])


class StepTest(unittest.TestCase):
    def setUp(self):
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.connection.close)
        first = [{"op": "create_table", "table": "a", "columns": [{"name": "x", "type": "text"}, {"name": "y", "type": "text"}]}]
        self.first = [(1, first)]
        migrate(self.connection, self.first)
        for x, y in (("1", "one"), ("2", "two")):
            self.connection.execute("INSERT INTO a (x, y, created_at, updated_at) VALUES (?, ?, '', '')", (x, y))

    def rows(self, *names):
        select = f"SELECT {', '.join(names)} FROM a ORDER BY id"
        return [tuple(row) for row in self.connection.execute(select)]

    def there_and_back(self, steps):
        migrations = [*self.first, (2, steps)]
        migrate(self.connection, migrations)
        yield
        migrate(self.connection, self.first)
        self.assertEqual(columns(self.connection, "a"), {"id", "x", "y", "created_at", "updated_at", "owner"})
        yield
        migrate(self.connection, migrations)
        yield

    def test_a_column_that_is_added_keeps_its_values_through_a_way_back(self):
        way = self.there_and_back([{"op": "add_column", "table": "a", "column": {"name": "z", "type": "integer"}, "default": 7}])
        next(way)
        self.assertEqual(self.rows("z"), [(7,), (7,)])
        self.connection.execute("UPDATE a SET z = 8 WHERE id = 1")
        next(way)
        next(way)
        self.assertEqual(self.rows("z"), [(8,), (7,)])

    def test_a_column_that_is_dropped_comes_back(self):
        way = self.there_and_back([{"op": "drop_column", "table": "a", "name": "y"}])
        next(way)
        self.assertNotIn("y", columns(self.connection, "a"))
        next(way)
        self.assertEqual(self.rows("y"), [("one",), ("two",)])
        next(way)

    def test_names_change_and_change_back(self):
        way = self.there_and_back([{"op": "rename_column", "table": "a", "from": "x", "to": "n"}, {"op": "rename_table", "from": "a", "to": "b"}])
        next(way)
        self.assertIn("n", columns(self.connection, "b"))
        next(way)
        self.assertEqual(self.rows("x"), [("1",), ("2",)])
        next(way)

    def test_a_type_changes_and_changes_back_with_what_was_written_since(self):
        way = self.there_and_back([{"op": "retype_column", "table": "a", "from": "text", "column": {"name": "x", "type": "integer"}}])
        next(way)
        self.assertEqual(self.rows("x"), [(1,), (2,)])
        self.connection.execute("UPDATE a SET x = 22 WHERE id = 2")
        next(way)
        self.assertEqual(self.rows("x"), [("1",), ("22",)])
        next(way)
        self.assertEqual(self.rows("x"), [(1,), (22,)])

    def test_a_way_back_loses_nothing(self):
        retype = [*self.first, (2, [{"op": "retype_column", "table": "a", "from": "text", "column": {"name": "x", "type": "number"}}])]
        more = [*retype, (3, [{"op": "retype_column", "table": "a", "from": "number", "column": {"name": "x", "type": "integer"}}])]
        migrate(self.connection, more)
        back = [*retype, (3, [{"op": "retype_column", "table": "a", "from": "number", "column": {"name": "x", "type": "text"}}])]
        migrate(self.connection, back)
        self.connection.execute("UPDATE a SET x = 'hello' WHERE id = 1")
        with self.assertRaisesRegex(Impossible, "1 values of x cannot be a number"):
            migrate(self.connection, retype)
        self.assertEqual(self.rows("x")[0], ("hello",))

    def test_what_belongs_to_somebody_is_not_shown_to_everybody(self):
        way = self.there_and_back([{"op": "own", "table": "a"}])
        next(way)
        next(way)
        next(way)
        self.connection.execute("UPDATE a SET owner = 1 WHERE id = 2")
        with self.assertRaisesRegex(Impossible, "1 rows of a belong to somebody"):
            migrate(self.connection, self.first)

    def test_what_blocks_keep_goes_along(self):
        self.connection.execute("CREATE TABLE _file (resource TEXT, item INTEGER)")
        self.connection.execute("INSERT INTO _file VALUES ('a', 1)")
        of = lambda: [row[0] for row in self.connection.execute("SELECT resource FROM _file")]
        migrate(self.connection, [*self.first, (2, [{"op": "rename_table", "from": "a", "to": "b"}])])
        self.assertEqual(of(), ["b"])
        migrate(self.connection, [*self.first, (2, [{"op": "drop_table", "table": "a"}]), (3, self.first[0][1])])
        self.assertNotEqual(of(), ["a"], "another one's now")
        migrate(self.connection, self.first)
        self.assertEqual(of(), ["a"])

    def test_a_table_that_is_dropped_comes_back(self):
        migrate(self.connection, [*self.first, (2, [{"op": "drop_table", "table": "a"}])])
        self.assertEqual(columns(self.connection, "a"), set())
        migrate(self.connection, self.first)
        self.assertEqual(len(self.rows("x")), 2)

    def test_something_else_under_the_same_number_takes_its_place(self):
        def adds(kind):
            return [*self.first, (2, [{"op": "add_column", "table": "a", "column": {"name": "z", "type": kind}}]), (3, [{"op": "drop_column", "table": "a", "name": "y"}])]

        migrate(self.connection, adds("text"))
        self.connection.execute("UPDATE a SET z = 'word'")
        migrate(self.connection, adds("integer")[:2])
        self.assertEqual(self.rows("z", "y"), [(None, "one"), (None, "two")])
        migrate(self.connection, adds("text"))
        self.assertEqual(self.rows("z"), [("word",), ("word",)])

    def test_what_is_impossible_changes_nothing(self):
        self.connection.execute("UPDATE a SET x = 'word', y = 'same'")
        for step, reason in (
            ({"op": "retype_column", "table": "a", "from": "text", "column": {"name": "x", "type": "integer"}}, "cannot be a integer"),
            ({"op": "unique", "table": "a", "name": "y", "on": True}, "the same"),
        ):
            add = {"op": "add_column", "table": "a", "column": {"name": "z", "type": "text"}}
            with self.assertRaisesRegex(Impossible, reason):
                migrate(self.connection, [*self.first, (2, [add, step])])
            self.assertNotIn("z", columns(self.connection, "a"))

    def test_rules_that_are_stricter_let_nothing_be_lost(self):
        def rules(**given):
            column = {"name": "x", "type": given.pop("type", "text")}
            return {"op": "check", "table": "a", "column": column, "rules": {"required": False, "choices": [], "least": None, "most": None, **given}}

        migrate(self.connection, [*self.first, (2, [rules(required=True, choices=["1", "2"], least=1, most=1)])])
        migrate(self.connection, self.first)
        self.connection.execute("UPDATE a SET x = NULL WHERE id = 1")
        self.connection.execute("UPDATE a SET x = 'long' WHERE id = 2")
        for broken in (rules(required=True), rules(choices=["1"]), rules(most=3), rules(least=5)):
            with self.assertRaisesRegex(Impossible, "1 of the rows"):
                migrate(self.connection, [*self.first, (2, [broken])])

    def test_unique_comes_and_goes(self):
        way = self.there_and_back([{"op": "unique", "table": "a", "name": "y", "on": True}])
        next(way)
        with self.assertRaises(sqlite3.IntegrityError):
            self.connection.execute("UPDATE a SET y = 'same'")
        migrate(self.connection, [*self.first, (2, [{"op": "unique", "table": "a", "name": "y", "on": True}]), (3, [{"op": "unique", "table": "a", "name": "y", "on": False}])])
        self.connection.execute("UPDATE a SET y = 'same'")

    def test_references_lead_somewhere(self):
        column = {"name": "other", "type": "reference", "references": "a"}
        self.connection.execute("PRAGMA foreign_keys = ON")
        with self.assertRaisesRegex(Impossible, "lead nowhere"):
            migrate(self.connection, [*self.first, (2, [{"op": "add_column", "table": "a", "column": column, "default": 9}])])

    def test_values_are_converted_or_not(self):
        for value, kind, expected in (
            ("3", "integer", 3), ("3.5", "integer", None), (3.0, "integer", 3), ("x", "integer", None), ("3.5", "number", 3.5), ("x", "number", None),
            ("yes", "boolean", 1), ("maybe", "boolean", None), ("2026-12-24T18:00:00Z", "date", "2026-12-24"), ("2026-12-24", "datetime", "2026-12-24T00:00:00Z"),
            ("soon", "date", None), (5, "text", "5"), (None, "text", None), ("inf", "number", None), ("1e999", "number", None), ("2026-99-99", "date", None),
            ("2026-12-24Tgarbage", "datetime", None), ("abc", "reference", None), ("ada", "email", None), ("1_000", "number", None),
        ):
            self.assertEqual(convert(value, kind), expected, (value, kind))


if __name__ == "__main__":
    unittest.main()
