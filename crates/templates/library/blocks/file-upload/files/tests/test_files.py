import unittest

from app.files import FILE_MOST
from app.schema import RESOURCES, WRITABLE
from tests.base import AppTest


class FileTest(AppTest):
    def test_a_file_is_kept_with_its_item(self):
        for resource in RESOURCES:
            item = self.make(resource)
            files = self.place(resource, item["id"]) + "/files"
            status, kept = self.call("PUT", f"{files}/scan%20%C3%A9.pdf", b"%PDF-1.7 \0\xff", {"Content-Type": "application/pdf"})
            self.assertEqual((status, kept["name"], kept["size"], kept["type"]), (201, "scan é.pdf", 11, "application/pdf"))
            self.assertEqual(self.call("GET", files), (200, {"items": [kept]}))
            self.assertEqual(self.call("GET", f"{files}/scan%20%C3%A9.pdf"), (200, b"%PDF-1.7 \0\xff"))
            self.assertIn("attachment", self.headers["Content-Disposition"])
            self.assertEqual(self.call("PUT", f"{files}/scan%20%C3%A9.pdf", b"other")[0], 200)
            self.assertEqual(self.call("GET", f"{files}/scan%20%C3%A9.pdf"), (200, b"other"))
            self.assertEqual(self.call("DELETE", f"{files}/scan%20%C3%A9.pdf"), (204, ""))
            self.assertEqual(self.call("GET", f"{files}/scan%20%C3%A9.pdf")[0], 404)

    def test_what_is_no_file_is_refused(self):
        for resource in RESOURCES:
            item = self.make(resource)
            files = self.place(resource, item["id"]) + "/files"
            for name in ("..", "a%2Fb", "%00", "%20", "x" * 101, "a%22b"):
                self.assertEqual(self.call("PUT", f"{files}/{name}", b"x")[0], 422, name)
            self.assertEqual(self.call("PUT", f"{files}/a", b"x", {"Content-Type": "not a type"})[0], 422)
            self.assertEqual(self.call("PUT", f"{files}/a", None, {"Content-Length": str(FILE_MOST + 1)})[0], 413)
            for number in (987654321, 2**53):
                self.assertEqual(self.call("GET", self.place(resource, number) + "/files")[0], 404)
            self.assertEqual(self.call("GET", files), (200, {"items": []}))

    @unittest.skipUnless(WRITABLE, "clients only read")
    def test_a_file_goes_with_its_item(self):
        for resource in RESOURCES:
            item = self.make(resource)
            self.assertEqual(self.call("PUT", self.place(resource, item["id"]) + "/files/a", b"x")[0], 201)
            self.assertEqual(self.call("DELETE", self.place(resource, item["id"]))[0], 204)
            with self.application.store.transaction() as connection:
                self.assertEqual(connection.execute("SELECT count(*) FROM _file WHERE resource = ?", (resource.table,)).fetchone()[0], 0)


if __name__ == "__main__":
    unittest.main()
