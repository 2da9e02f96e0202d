import unittest

from app.errors import Invalid
from app.model import Field
from app.validation import INTEGER_MOST, TYPES, check, from_text
from tests.examples import BAD, GOOD


class ValidationTest(unittest.TestCase):
    def test_good_values_of_every_type_are_taken(self):
        for name, values in GOOD.items():
            for value in values:
                with self.subTest(type=name, value=value):
                    TYPES[name](value)

    def test_bad_values_of_every_type_are_refused_with_a_reason(self):
        for name, values in BAD.items():
            for value in values:
                # It may be an id; that nothing has it, only the database knows.
                if name == "reference" and value == INTEGER_MOST:
                    continue
                with self.subTest(type=name, value=str(value)[:20]):
                    with self.assertRaisesRegex(ValueError, "must"):
                        TYPES[name](value)

    def test_times_are_kept_in_utc(self):
        self.assertEqual(TYPES["datetime"]("2026-12-24T18:00:00+02:00"), "2026-12-24T16:00:00Z")

    def test_what_is_missing_or_unknown_is_named(self):
        fields = (Field("a", "text", required=True), Field("b", "text"), Field("c", "boolean"))
        with self.assertRaises(Invalid) as raised:
            check({"z": 1, "b": 5}, fields)
        self.assertEqual(raised.exception.fields, {"z": "is not a field", "a": "is required", "b": "must be a text"})
        with self.assertRaises(Invalid) as raised:
            check({"a": None}, fields)
        self.assertEqual(raised.exception.fields, {"a": "must not be null"})
        self.assertEqual(check({"a": "x"}, fields), {"a": "x", "b": None, "c": False})

    def test_what_is_not_said_has_its_default(self):
        fields = (Field("a", "text", required=True, default="x"), Field("b", "boolean", default=True))
        self.assertEqual(check({}, fields), {"a": "x", "b": True})
        self.assertEqual(check({"a": "y", "b": False}, fields), {"a": "y", "b": False})
        self.assertEqual(check({}, fields, partial=True), {})
        with self.assertRaises(Invalid):
            check({"a": None}, fields)

    def test_a_partial_item_gives_only_what_is_in_it(self):
        fields = (Field("a", "text", required=True), Field("b", "text"))
        self.assertEqual(check({"b": None}, fields, partial=True), {"b": None})

    def test_what_a_field_may_hold_is_said_when_it_is_not_that(self):
        fields = (Field("a", "text", choices=("x", "y")), Field("b", "integer", least=1.0, most=5.0), Field("c", "text", least=2.0, most=3.0))
        good = {"a": "x", "b": 5, "c": "abc"}
        self.assertEqual(check(good, fields), good)
        for name, value, problem in (("a", "z", "x, y"), ("b", 0, "at least 1"), ("b", 6, "at most 5"), ("c", "a", "at least 2 ch"), ("c", "abcd", "at most 3 ch")):
            with self.assertRaises(Invalid) as raised:
                check({name: value}, fields)
            self.assertIn(problem, raised.exception.fields[name])

    def test_what_is_typed_is_read_by_its_type(self):
        for kind, text, value in (
            ("integer", " 5 ", 5), ("integer", "5.5", 5.5), ("integer", "x", "x"), ("number", "5.5", 5.5), ("boolean", "on", True), ("boolean", "", False), ("boolean", "maybe", "maybe"), ("text", " ", None),
            ("datetime", "2026-12-24T18:00", "2026-12-24T18:00Z"), ("date", "2026-12-24", "2026-12-24"),
        ):
            self.assertEqual(from_text(Field("a", kind), text), value)

    def test_only_objects_are_items(self):
        for body in ([], "a", 3, None):
            with self.assertRaises(Invalid):
                check(body, ())


if __name__ == "__main__":
    unittest.main()
