"""The store without HTTP before it."""
import threading
import unittest

from app.errors import Invalid, Missing, Taken
from app.migrations import quoted
from app.schema import RESOURCES
from app.times import after
from app.validation import INTEGER_MOST, check
from tests.base import AppTest


class StoreTest(AppTest):
    def values(self, resource, choice=0):
        return check(self.item(resource, choice), resource.fields)

    def test_every_change_has_a_later_time(self):
        store = self.application.store
        for resource in RESOURCES:
            item = self.make(resource)
            for choice in (1, 0, 1):
                changed = store.update(resource, self.owner, item["id"], self.values(resource, choice))
                self.assertGreater(changed["updated_at"], item["updated_at"])
                item = changed
        self.assertEqual(after("2999-01-01T00:00:00.999Z"), "2999-01-01T00:00:01.000Z")

    def test_what_is_deleted_is_gone_also_where_something_kept_refers_to_it(self):
        store = self.application.store
        for resource in RESOURCES:
            item = self.make(resource)
            with store.transaction() as connection:
                connection.execute(f"CREATE TABLE _v9_kept (id INTEGER PRIMARY KEY, at INTEGER REFERENCES {quoted(resource.table)}(id))")
                connection.execute("INSERT INTO _v9_kept (at) VALUES (?)", (item["id"],))
            self.assertEqual(store.delete(resource, self.owner, item["id"]), item)
            with self.assertRaises(Missing):
                store.get(resource, self.owner, item["id"])
            with store.transaction() as connection:
                self.assertEqual(connection.execute("SELECT at FROM _v9_kept").fetchone()[0], None)
                connection.execute("DROP TABLE _v9_kept")

    def test_references_and_what_is_unique_are_checked(self):
        store = self.application.store
        for resource in RESOURCES:
            first = self.make(resource)
            for field in resource.fields:
                if field.references:
                    with self.assertRaises(Invalid):
                        store.create(resource, self.owner, {**self.values(resource), field.name: INTEGER_MOST})
                if field.unique:
                    with self.assertRaises(Taken):
                        store.create(resource, self.owner, {**self.values(resource), field.name: first[field.name]})
                    # Of another owner it is another one's.
                    if not any(other.references for other in resource.fields):
                        store.create(resource, -1, {**self.values(resource), field.name: first[field.name]})

    def test_who_reads_does_not_wait_for_who_writes(self):
        store, resource = self.application.store, RESOURCES[0]
        item = self.make(resource)
        seen = []
        with store.transaction():
            reader = threading.Thread(target=lambda: seen.append(store.get(resource, self.owner, item["id"])))
            reader.start()
            reader.join(5)
        self.assertEqual(seen, [item])


if __name__ == "__main__":
    unittest.main()
