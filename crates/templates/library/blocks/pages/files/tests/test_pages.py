import html.parser
import re
import unittest
import urllib.parse

from app.pages import LISTED
from app.panels import SHOWN
from app.schema import RESOURCES, SEARCH, referring
from app.validation import check
from tests.base import PASSWORD, WITH_LOGIN, AppTest

VOID = {"meta", "link", "input", "br"}


class Wellformed(html.parser.HTMLParser):
    """That every tag is closed where it should be, and every control has a label."""

    def __init__(self):
        super().__init__()
        self.open, self.labels, self.controls = [], set(), set()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "label":
            self.labels.add(attributes["for"])
        if tag in ("input", "select", "textarea"):
            self.controls.add(attributes["id"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag


class PageTest(AppTest):
    def browse(self, path):
        status, text = self.call("GET", path)
        if status == 200:
            parser = Wellformed()
            parser.feed(text)
            self.assertEqual((parser.open, parser.controls - parser.labels), ([], set()))
        return status, text

    def send(self, path, fields, **headers):
        return self.call("POST", path, urllib.parse.urlencode(fields).encode(), {"Content-Type": "application/x-www-form-urlencoded", **headers})

    def typed(self, resource, choice=0):
        """An item as people fill the form in."""
        filled = {}
        for name, value in self.item(resource, choice).items():
            if value is not False and value is not None:
                filled[name] = "on" if value is True else re.sub(r"(:\d\d)(Z|\+.*)$", r"\1", value) if resource.field(name).type == "datetime" else value
        return filled

    def test_what_is_filled_in_is_there_can_be_changed_and_deleted(self):
        for resource in RESOURCES:
            status, _ = self.send(f"/{resource.path}/new", self.typed(resource))
            self.assertEqual((status, self.headers["Location"]), (303, f"../{resource.path}"))
            made = self.call("GET", self.place(resource))[1]["items"][-1]
            status, text = self.browse(f"/{resource.path}")
            self.assertIn(f'href="{resource.path}/{made["id"]}"', text)
            self.assertEqual(self.browse(f"/{resource.path}/{made['id']}")[0], 200)
            self.assertEqual(self.send(f"/{resource.path}/{made['id']}", self.typed(resource, 1))[0], 303)
            changed = self.call("GET", self.place(resource, made["id"]))[1]
            self.assertNotEqual({**changed, "updated_at": made["updated_at"]}, made)
            self.assertIn("cannot be brought back", self.browse(f"/{resource.path}/{made['id']}/delete")[1])
            self.assertEqual(self.send(f"/{resource.path}/{made['id']}/delete", {})[0], 303)
            self.assertEqual(self.browse(f"/{resource.path}/{made['id']}")[0], 404)

    def test_what_is_wrong_is_said_beside_its_control(self):
        for resource in RESOURCES:
            self.assertEqual(self.browse(f"/{resource.path}/new")[0], 200)
            for field in resource.fields:
                wrong = {"integer": "x", "number": "x", "date": "soon", "datetime": "soon", "email": "x", "url": "x", "reference": "987654321"}.get(field.type)
                wrong = "nonsense" if field.choices else wrong
                if wrong is None and field.required:
                    wrong = " "
                if wrong is None:
                    continue
                status, text = self.send(f"/{resource.path}/new", {**self.typed(resource), field.name: wrong})
                self.assertEqual(status, 422)
                self.assertIn(f'id="{field.name}-problem"', text)
            made = self.make(resource)
            first = next((field for field in resource.fields if field.required and field.type != "boolean"), None)
            if first:
                status, text = self.send(f"/{resource.path}/{made['id']}", {**self.typed(resource), first.name: ""})
                self.assertEqual(status, 422)

    def test_texts_are_shown_as_they_are_and_run_nothing(self):
        for resource in RESOURCES:
            for field in resource.fields:
                if field.type == "text" and not field.choices and not field.most:
                    self.assertEqual(self.send(f"/{resource.path}/new", {**self.typed(resource), field.name: '<script>alert("1")</script>'})[0], 303)
                    self.assertNotIn("<script>", self.browse(f"/{resource.path}")[1])
            self.assertIn("default-src 'none'", self.headers["Content-Security-Policy"]) if self.browse(f"/{resource.path}") else None

    def test_other_sites_forms_are_refused(self):
        place = f"/{RESOURCES[0].path}/new"
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            self.assertEqual(self.send(place, self.typed(RESOURCES[0]), **headers)[0], 403)
        for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": f"http://127.0.0.1:{self.port}"}):
            self.assertEqual(self.send(place, self.typed(RESOURCES[0]), **headers)[0], 303)
        self.assertEqual(self.call("POST", place, b"\xff=%")[0], 400)

    def test_long_lists_have_more_pages(self):
        for resource in RESOURCES:
            made = [self.make(resource) for _ in range(LISTED + 1)]
            text, pages = self.browse(f"/{resource.path}?q=" if SEARCH else f"/{resource.path}")[1], 1
            while more := re.search(r'href="([^"]*after=[^"]*)"', text):
                text, pages = self.browse("/" + more[1].replace("&amp;", "&"))[1], pages + 1
            self.assertIn(f'/{made[-1]["id"]}"', text)
            self.assertGreater(pages, 1)
            self.assertEqual(self.browse(f"/{resource.path}?after=x")[0], 200)

    def test_places_that_are_not_there(self):
        for resource in RESOURCES:
            self.assertEqual(self.browse(f"/{resource.path}/{2**53}")[0], 404)
            self.assertEqual(self.send(f"/{resource.path}/987654321", self.typed(resource))[0], 404)
        self.assertEqual(self.browse("/nothing")[0], 404)
        self.assertEqual(self.call("GET", "/style.css")[0], 200)

    def test_what_refers_to_an_item_is_on_its_page_and_begun_from_there(self):
        for resource in RESOURCES:
            for other, field in referring(resource):
                item = self.make(other)
                of = item[field.name]
                text = self.browse(f"/{resource.path}/{of}")[1]
                self.assertIn(f'href="../{other.path}/{item["id"]}"', text)
                self.assertIn(f'href="../{other.path}/new?{field.name}={of}"', text)
                self.assertIn(f'<option value="{of}" selected>', self.browse(f"/{other.path}/new?{field.name}={of}")[1])
                self.assertEqual(self.browse(f"/{other.path}/new?{field.name}=x")[0], 200)
                if not any(field.unique for field in other.fields):
                    for _ in range(SHOWN):
                        self.application.store.create(other, self.owner, {**check(self.item(other, 1), other.fields), field.name: of})
                    self.assertIn("and more", self.browse(f"/{resource.path}/{of}")[1])

    def test_the_first_page_leads_on(self):
        status, text = self.browse("/")
        self.assertEqual(status, 303 if len(RESOURCES) == 1 else 200)

    @unittest.skipUnless(WITH_LOGIN, "everybody sees everything")
    def test_people_sign_up_in_and_out(self):
        token, self.token = self.token, None
        self.assertEqual(self.browse(f"/{RESOURCES[0].path}")[0], 303)
        self.assertEqual(self.headers["Location"], "./sign-in")
        self.assertEqual(self.browse("/")[0], 303)
        self.assertEqual((self.browse("/sign-in")[0], self.browse("/sign-up")[0]), (200, 200))
        self.assertEqual(self.send("/sign-in", {"email": "eve@example.org", "password": PASSWORD})[0], 401)
        self.assertEqual(self.send("/sign-up", {"email": "eve", "password": PASSWORD})[0], 422)
        self.assertEqual(self.send("/sign-up", {"email": "eve@example.org", "password": PASSWORD})[0], 303)
        cookie = self.headers["Set-Cookie"]
        self.assertIn("HttpOnly", cookie)
        headers = {"Cookie": cookie.split(";")[0]}
        self.assertEqual(self.call("GET", f"/{RESOURCES[0].path}", headers=headers)[0], 200)
        self.assertIn("eve@example.org", self.call("GET", "/account", headers=headers)[1])
        for fields, status in (({"password": "wrong", "new_password": PASSWORD + "!"}, 422), ({"password": PASSWORD, "new_password": "short"}, 422), ({"password": PASSWORD, "new_password": PASSWORD + "!"}, 200)):
            self.assertEqual(self.send("/account", fields, **headers)[0], status)
        self.assertEqual(self.send("/sign-in", {"email": "eve@example.org", "password": PASSWORD})[0], 401)
        self.assertEqual(self.send("/sign-in", {"email": "eve@example.org", "password": PASSWORD + "!"})[0], 303)
        self.assertEqual(self.call("POST", "/sign-out", b"", headers)[0], 303)
        self.assertEqual((self.call("GET", "/account", headers=headers)[0], self.send("/account", {}, **headers)[0]), (303, 303))
        self.assertEqual(self.call("GET", f"/{RESOURCES[0].path}", headers=headers)[0], 303)
        self.assertEqual(self.call("POST", "/sign-out", b"")[0], 303)
        self.token = token


if __name__ == "__main__":
    unittest.main()
