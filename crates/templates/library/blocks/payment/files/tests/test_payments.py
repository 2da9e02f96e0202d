import json
import pathlib
import tempfile
import time
import unittest

from app.migrations import Impossible
from app.payments import WEBHOOK
from app.provider import Sandbox, provider, secret, sign, verified
from app.schema import PREFIX, RESOURCES, WRITABLE
from tests.base import WITH_LOGIN, AppTest

TWELVE = {"amount": 1250, "currency": "EUR"}


class Broken:
    """A provider that does not answer."""

    def create(self, key, amount, currency, description):
        raise OSError("no route")

    refund = create


class PaymentTest(AppTest):
    def ask(self, resource=RESOURCES[0], headers=None, item=None):
        """A payment for a new item."""
        item = item or self.make(resource)
        status, payment = self.call("POST", self.place(resource, item["id"]) + "/payments", TWELVE, headers)
        self.assertEqual(status, 201, payment)
        return item, payment

    def tell(self, event, key=None, at=None):
        body = json.dumps(event).encode()
        signature = sign(key or self.application.payment_secret, body, at or int(time.time()))
        token, self.token = self.token, None
        try:
            return self.call("POST", WEBHOOK, body, {"Webhook-Signature": signature})
        finally:
            self.token = token

    def state(self, payment):
        return self.call("GET", f"{PREFIX}/payments/{payment['id']}")[1]["state"]

    def test_an_item_is_paid_for_and_refunded(self):
        for resource in RESOURCES:
            item, payment = self.ask(resource)
            self.assertEqual((payment["state"], payment["amount"], payment["currency"], payment["item"]), ("pending", 1250, "EUR", item["id"]))
            pay = f"{PREFIX}/{payment['pay_at']}"
            if WRITABLE:
                self.assertEqual(self.call("DELETE", self.place(resource, item["id"]))[0], 409, "somebody may be paying just now")
            self.assertEqual(self.call("POST", pay, {"outcome": "failed"}), (200, {"applied": True}))
            self.assertEqual(self.call("POST", f"{PREFIX}/payments/{payment['id']}/refund")[0], 409)
            self.assertEqual(self.call("POST", pay, {"outcome": "paid"}), (200, {"applied": True}))
            self.assertEqual(self.call("POST", pay, {"outcome": "failed"}), (200, {"applied": False}))
            self.assertEqual(self.state(payment), "paid")
            if WRITABLE:
                self.assertEqual(self.call("DELETE", self.place(resource, item["id"]))[0], 409)
            for _ in range(2):
                self.assertEqual(self.call("POST", f"{PREFIX}/payments/{payment['id']}/refund")[1]["state"], "refunding")
            self.assertEqual(self.call("POST", pay, {"outcome": "refunded"}), (200, {"applied": True}))
            status, listed = self.call("GET", self.place(resource, item["id"]) + "/payments")
            self.assertEqual([of["state"] for of in listed["items"]], ["refunded"])
            if WRITABLE:
                self.assertEqual(self.call("DELETE", self.place(resource, item["id"]))[0], 204)
                self.assertEqual(self.call("GET", f"{PREFIX}/payments/{payment['id']}")[0], 404)
                with self.application.store.reading() as connection:
                    self.assertEqual(connection.execute("SELECT state FROM _payment WHERE id = ?", (payment["id"],)).fetchone()[0], "refunded", "it is kept")

    def test_the_same_key_is_the_same_payment(self):
        item, payment = self.ask(headers={"Idempotency-Key": "order-7"})
        place = self.place(RESOURCES[0], item["id"]) + "/payments"
        self.assertEqual(self.call("POST", place, TWELVE, {"Idempotency-Key": "order-7"}), (200, payment))
        self.assertEqual(self.call("POST", place, {**TWELVE, "amount": 1}, {"Idempotency-Key": "order-7"})[0], 409)
        self.assertEqual(self.call("POST", place, TWELVE, {"Idempotency-Key": "x" * 201})[0], 422)
        self.assertEqual(len(self.call("GET", place)[1]["items"]), 1)

    def test_only_the_provider_says_what_was_paid_and_each_event_counts_once(self):
        _, payment = self.ask()
        paid = {"id": "event_1", "type": "payment.paid", "reference": payment["reference"]}
        self.assertEqual(self.tell(paid, key=b"another")[0], 401)
        self.assertEqual(self.tell(paid, at=int(time.time()) - 1000)[0], 401)
        self.assertEqual(self.call("POST", WEBHOOK, paid)[0], 401)
        self.assertEqual(self.state(payment), "pending")
        self.assertEqual(self.tell({**paid, "reference": "unknown"})[0], 404)
        self.assertEqual(self.tell({**paid, "type": "payment.invented"})[0], 422)
        self.assertEqual(self.tell(paid), (200, {"applied": True}))
        self.assertEqual(self.tell(paid), (200, {"applied": False}))
        self.assertEqual(self.tell({**paid, "id": "event_2", "type": "payment.failed"}), (200, {"applied": False}))
        self.assertEqual(self.state(payment), "paid")

    def test_events_that_overtake_each_other_come_to_the_same(self):
        for order in (("paid", "refunded"), ("refunded", "paid"), ("failed", "paid", "refunded"), ("refunded", "failed", "paid")):
            _, payment = self.ask()
            for kind in order:
                self.assertEqual(self.tell({"id": f"{payment['id']}-{kind}", "type": f"payment.{kind}", "reference": payment["reference"]})[0], 200)
            self.assertEqual(self.state(payment), "refunded", order)

    def test_what_is_no_payment_is_refused(self):
        item = self.make(RESOURCES[0])
        place = self.place(RESOURCES[0], item["id"]) + "/payments"
        for bad in ([], {"amount": 0, "currency": "EUR"}, {"amount": True, "currency": "EUR"}, {"amount": 1.5, "currency": "EUR"}, {"amount": 1, "currency": "euro"}, {**TWELVE, "x": 1}):
            self.assertEqual(self.call("POST", place, bad)[0], 422, bad)
        for number in (987654321, 2**53):
            self.assertEqual(self.call("POST", self.place(RESOURCES[0], number) + "/payments", TWELVE)[0], 404)
            self.assertEqual(self.call("GET", f"{PREFIX}/payments/{number}")[0], 404)
        _, payment = self.ask()
        self.assertEqual(self.call("POST", f"{PREFIX}/{payment['pay_at']}", {"outcome": "stolen"})[0], 422)
        self.assertEqual(self.call("POST", f"{PREFIX}/payments/sandbox/nobody", {"outcome": "paid"})[0], 404)

    def test_a_provider_that_does_not_answer_is_asked_again_for_the_same(self):
        item = self.make(RESOURCES[0])
        place, key = self.place(RESOURCES[0], item["id"]) + "/payments", {"Idempotency-Key": "k"}
        working, self.application.payments = self.application.payments, Broken()
        self.assertEqual(self.call("POST", place, TWELVE, key)[0], 502)
        self.application.payments = working
        self.assertEqual(self.call("POST", place, TWELVE, key)[0], 201)
        self.assertEqual(len(self.call("GET", place)[1]["items"]), 1)

    @unittest.skipUnless(WITH_LOGIN, "everybody sees everything")
    def test_payments_are_their_items_owners(self):
        _, payment = self.ask()
        self.token = self.sign_in("eve@example.org")
        self.assertEqual(self.call("GET", f"{PREFIX}/payments/{payment['id']}")[0], 404)
        self.assertEqual(self.call("POST", f"{PREFIX}/payments/{payment['id']}/refund")[0], 404)


class ProviderTest(unittest.TestCase):
    def test_another_provider_is_a_class_and_needs_a_secret(self):
        self.assertIsInstance(provider({})[1], Sandbox)
        name = "tests.test_payments:Broken"
        self.assertEqual(provider({"PAYMENT_PROVIDER": name, "PAYMENT_WEBHOOK_SECRET": "s"})[0], name)
        for environment in ({"PAYMENT_PROVIDER": name}, {"PAYMENT_PROVIDER": "nowhere:Nothing"}, {"PAYMENT_PROVIDER": "json"}):
            with self.assertRaises(Impossible):
                provider(environment)

    def test_the_sandbox_keeps_its_secret_with_the_data(self):
        with tempfile.TemporaryDirectory() as directory:
            first = secret(pathlib.Path(directory), {})
            self.assertEqual((len(first), secret(pathlib.Path(directory), {})), (64, first))
            self.assertEqual([path.name for path in pathlib.Path(directory).iterdir()], ["payment-secret"])
            self.assertEqual(secret(pathlib.Path(directory), {"PAYMENT_WEBHOOK_SECRET": "given"}), b"given")

    def test_signatures_are_of_the_time_and_the_body(self):
        header = sign(b"key", b"{}", 1000)
        self.assertEqual(verified(b"key", b"{}", header, lambda: 1200), {})
        self.assertEqual(verified(b"key", b"{}", header + ",v1=old", lambda: 1200), {})
        for body, given, at in ((b"{ }", header, 1000), (b"{}", header, 1301), (b"{}", "", 1000), (b"{}", "t=x,v1=y", 1000), (b"{}", header.replace("t=1000", "t=1001"), 1000)):
            self.assertIsNone(verified(b"key", body, given, lambda: at))
        self.assertIsNone(verified(b"key", b"no", sign(b"key", b"no", 1), lambda: 1))


if __name__ == "__main__":
    unittest.main()
