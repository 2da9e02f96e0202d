import os
import unittest
from unittest import mock

from app import auth
from app.migrations import quoted
from app.schema import RESOURCES, WRITABLE
from tests.base import PASSWORD, AppTest


class AuthTest(AppTest):
    def setUp(self):
        auth.WRONG.times.clear()
        super().setUp()

    def test_a_password_is_changed_by_who_knows_it_and_others_are_signed_out(self):
        other = self.call("POST", "/sessions", {"email": "ada@example.org", "password": PASSWORD})[1]["token"]
        for body, status in (
            ({"password": "wrong horse", "new_password": "battery staple"}, 422),
            ({"password": "\ud800", "new_password": "battery staple"}, 422),
            ({"password": PASSWORD, "new_password": "short"}, 422),
            ({"password": PASSWORD}, 422),
            ([], 422),
            ({"password": PASSWORD, "new_password": "battery staple"}, 204),
        ):
            self.assertEqual(self.call("PUT", "/users/me/password", body)[0], status, body)
        self.assertEqual(self.call("GET", "/users/me")[0], 200)
        self.assertEqual(self.call("GET", "/users/me", headers={"Authorization": f"Bearer {other}"})[0], 401)
        self.assertEqual(self.call("POST", "/sessions", {"email": "ada@example.org", "password": PASSWORD})[0], 401)
        self.assertEqual(self.call("POST", "/sessions", {"email": "ada@example.org", "password": "battery staple"})[0], 201)

    def test_everybody_sees_only_their_own(self):
        for resource in RESOURCES:
            self.call("DELETE", "/nothing")
            made, ada, owner = self.make(resource), self.token, self.owner
            self.token = self.sign_in(f"bob-{resource.table}@example.org")
            place = self.place(resource, made["id"])
            for method in ("GET", "PUT", "PATCH", "DELETE") if WRITABLE else ("GET",):
                body = self.item(resource, 1) if method in ("PUT", "PATCH") else None
                self.assertEqual(self.call(method, place, body)[0], 404, method)
            self.assertNotIn(made["id"], [entry["id"] for entry in self.call("GET", self.place(resource))[1]["items"]])
            for field in resource.fields:
                if field.references and WRITABLE:
                    status, answer = self.call("POST", self.place(resource), {**self.item(resource), field.name: made[field.name]})
                    self.assertEqual((status, list(answer["error"]["fields"])), (422, [field.name]))
            self.token, self.owner = ada, owner
            self.assertEqual(self.call("GET", place)[0], 200)

    def test_without_a_token_nothing_is_shown(self):
        token, self.token = self.token, None
        place = self.place(RESOURCES[0])
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eA=="}, {"Cookie": "session=x"}):
            status, answer = self.call("GET", place, headers=headers)
            self.assertEqual((status, answer["error"]["code"]), (401, "unauthenticated"))
        self.assertEqual(self.call("GET", "/health")[0], 200)
        self.assertEqual(self.call("GET", place, headers={"Cookie": f"a=b; session={token}"})[0], 200)
        self.assertEqual(self.call("POST", place, {}, headers={"Cookie": f"session={token}"})[0], 401, "another site could send it")

    def test_what_was_there_before_login_is_claimed_with_the_code(self):
        resource = RESOURCES[0]
        made = self.make(resource)
        with self.application.store.transaction() as connection:
            connection.execute(f"UPDATE {quoted(resource.table)} SET owner = NULL")
        self.assertEqual(self.call("GET", self.place(resource, made["id"]))[0], 404)
        with mock.patch.dict(os.environ, {"CLAIM_CODE": ""}):
            self.assertEqual(self.call("POST", "/users/me/claims", {"code": ""})[0], 403, "there is none")
        with mock.patch.dict(os.environ, {"CLAIM_CODE": "open sesame"}):
            for body, status in (({"code": "sesame"}, 403), ({}, 422), ([], 422), ({"code": "\ud800"}, 403)):
                self.assertEqual(self.call("POST", "/users/me/claims", body)[0], status, body)
            self.assertEqual(self.call("POST", "/users/me/claims", {"code": "open sesame"}), (200, {"claimed": 1}))
            self.assertEqual(self.call("POST", "/users/me/claims", {"code": "open sesame"}), (200, {"claimed": 0}))
            for _ in range(auth.WRONG_MOST):
                self.call("POST", "/users/me/claims", {"code": "x"})
            self.assertEqual(self.call("POST", "/users/me/claims", {"code": "open sesame"})[0], 429)
        self.assertEqual(self.call("GET", self.place(resource, made["id"]))[0], 200)

    def test_signing_out_ends_the_session(self):
        status, me = self.call("GET", "/users/me")
        self.assertEqual((status, me["email"]), (200, "ada@example.org"))
        self.assertEqual(self.call("DELETE", "/sessions/current")[0], 204)
        self.assertEqual(self.call("GET", "/users/me")[0], 401)

    def test_a_session_ends_by_itself(self):
        with self.application.store.transaction() as connection:
            connection.execute("UPDATE _session SET expires_at = '2020-01-01T00:00:00Z'")
        self.assertEqual(self.call("GET", "/users/me")[0], 401)

    def test_bad_credentials_are_named(self):
        for body, field in (
            ({"email": "ada", "password": PASSWORD}, "email"),
            ({"email": "a@example.org", "password": "short"}, "password"),
            ({"email": "a@example.org", "password": "\ud800" * 9}, "password"),
            ({"email": "a@example.org", "password": PASSWORD, "admin": True}, "admin"),
            ([], "body"),
        ):
            status, answer = self.call("POST", "/users", body)
            self.assertEqual((status, list(answer["error"]["fields"])), (422, [field]))
        status, answer = self.call("POST", "/users", {"email": "ADA@example.org", "password": PASSWORD})
        self.assertEqual((status, answer["error"]["code"]), (409, "taken"))

    def test_passwords_cannot_be_tried_for_ever(self):
        for email in ("ada@example.org", "nobody@example.org"):
            wrong = {"email": email, "password": "wrong horse"}
            statuses = [self.call("POST", "/sessions", wrong)[0] for _ in range(auth.WRONG_MOST + 1)]
            self.assertEqual(statuses, [401] * auth.WRONG_MOST + [429])

    def test_passwords_and_tokens_are_not_kept(self):
        with self.application.store.transaction() as connection:
            kept = repr([tuple(row) for row in connection.execute("SELECT * FROM _user")] + [tuple(row) for row in connection.execute("SELECT * FROM _session")])
        self.assertNotIn(PASSWORD, kept)
        self.assertNotIn(self.token, kept)


if __name__ == "__main__":
    unittest.main()
