"""Payments for items. What became of one is believed of its provider only, by webhooks that are signed; each counts once, in any order."""
import json
import re
import secrets
import time

from app.errors import HttpError, Invalid, Missing
from app.messages import Answer
from app.operations import operation
from app.provider import SANDBOX, provider, secret, sign, verified
from app.schema import PREFIX, RESOURCES
from app.times import now
from app.validation import INTEGER_MOST

# In the currency's smallest unit: cents.
AMOUNT_MOST = 10**12
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
KEY = re.compile(r"[!-~]{1,200}", re.ASCII)
# What a webhook may change a payment from, and to. One that was declined may be paid by another try; money that is back is back.
EVENTS = {
    "payment.paid": (("pending", "failed"), "paid"),
    "payment.failed": (("pending",), "failed"),
    "payment.refunded": (("pending", "failed", "paid", "refunding"), "refunded"),
}
WEBHOOK = f"{PREFIX}/payments/webhook"
SHOWN = ("id", "resource", "item", "amount", "currency", "state", "provider", "reference", "pay_at", "created_at", "updated_at")


def tables(connection):
    connection.execute(
        "CREATE TABLE IF NOT EXISTS _payment (id INTEGER PRIMARY KEY AUTOINCREMENT, resource TEXT NOT NULL, item INTEGER NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, "
        "state TEXT NOT NULL, provider TEXT NOT NULL, reference TEXT UNIQUE, pay_at TEXT NOT NULL, key TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, UNIQUE (resource, item, key))"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS _payment_event (id TEXT PRIMARY KEY, at TEXT NOT NULL)")


def changing(connection, what, resource, item):
    """What is paid for, or may still be, stays. Payments that came to nothing, or went back, are kept without their item."""
    if what == "deleted":
        select = "SELECT state FROM _payment WHERE resource = ? AND item = ? AND reference IS NOT NULL AND state IN ('pending', 'paid', 'refunding')"
        found = connection.execute(select, (resource.table, item["id"])).fetchone()
        if found:
            raise HttpError(409, "paid", f"a payment for it is {found['state']}; it goes when that has failed or is refunded")


def is_open(request):
    """It is signed."""
    return request.method == "POST" and request.path == WEBHOOK


def shown(row):
    return {name: row[name] for name in SHOWN}


def wanted(body):
    """The amount and the currency of a JSON object."""
    if not isinstance(body, dict):
        raise Invalid({"body": "must be a JSON object"})
    problems = {name: "is not a field" for name in body if name not in ("amount", "currency")}
    amount, currency = body.get("amount"), body.get("currency")
    if isinstance(amount, bool) or not isinstance(amount, int) or not 1 <= amount <= AMOUNT_MOST:
        problems["amount"] = f"must be a whole number from 1 to {AMOUNT_MOST}, of the currency's smallest unit"
    if not isinstance(currency, str) or not CURRENCY.fullmatch(currency):
        problems["currency"] = "must be three letters, such as EUR"
    if problems:
        raise Invalid(problems)
    return amount, currency


def routes(application):
    application.payment_provider, application.payments = provider()
    application.payment_secret = secret(application.store.directory)
    store, one = application.store, re.escape(f"{PREFIX}/payments") + "/([0-9]{1,16})"

    def find(request, match):
        """The payment, when its item is the caller's."""
        with store.reading() as connection:
            row = connection.execute("SELECT * FROM _payment WHERE id = ?", (min(int(match[1]), INTEGER_MOST),)).fetchone()
        if row is None:
            raise Missing("payment")
        resource = next((resource for resource in RESOURCES if resource.table == row["resource"]), None)
        if resource is None:
            raise Missing("payment")
        try:
            store.get(resource, request.owner, row["item"])
        except Missing:
            raise Missing("payment") from None
        return row

    def refund(request, match):
        row = find(request, match)
        if row["state"] not in ("paid", "refunding"):
            raise HttpError(409, "not_paid", f"it is {row['state']}; only what is paid can be refunded")
        # Noted before it is asked for: asked again it is the same refund.
        with store.transaction() as connection:
            connection.execute("UPDATE _payment SET state = 'refunding', updated_at = ? WHERE id = ? AND state = 'paid'", (now(), row["id"]))
        asked(lambda: application.payments.refund(f"refund/{row['resource']}/{row['item']}/{row['id']}", row["reference"], row["amount"]))
        return Answer(202, shown(find(request, match)))

    def webhook(request, match):
        body = request.body()
        event = verified(application.payment_secret, body, request.headers.get("Webhook-Signature") or "")
        if event is None:
            raise HttpError(401, "unsigned", "Webhook-Signature is missing, wrong or too old")
        return Answer(200, {"applied": apply(application, event)})

    def decided(request, match):
        body = request.json()
        return Answer(200, {"applied": sandbox(application, match[1], body.get("outcome") if isinstance(body, dict) else None)})

    found = [("POST", re.escape(WEBHOOK), webhook), ("GET", one, lambda request, match: Answer(200, shown(find(request, match)))), ("POST", f"{one}/refund", refund)]
    if application.payment_provider == SANDBOX:
        found.append(("POST", re.escape(f"{PREFIX}/payments/sandbox") + "/([a-z0-9_]{1,100})", decided))
    return found + [route for resource in RESOURCES for route in of(application, resource)]


def sandbox(application, reference, outcome):
    """What the page of a provider does: it is paid, or not, and the provider says so. Whether that changed something."""
    kind = f"payment.{outcome}"
    if kind not in EVENTS:
        raise Invalid({"outcome": "must be paid, failed or refunded"})
    event = json.dumps({"id": f"event_{secrets.token_hex(12)}", "type": kind, "reference": reference}).encode()
    signature = sign(application.payment_secret, event, int(time.time()))
    return apply(application, verified(application.payment_secret, event, signature))


def listed(application, resource, number):
    with application.store.reading() as connection:
        rows = connection.execute("SELECT * FROM _payment WHERE resource = ? AND item = ? ORDER BY id", (resource.table, number)).fetchall()
    return [shown(row) for row in rows]


def pay(application, resource, owner, number, amount, currency, key):
    """(the payment, whether it is a new one)"""
    store = application.store
    # Noted before it is asked for: asked again, after a crash too, it is the same payment.
    with store.transaction() as connection:
        store.get(resource, owner, number)
        connection.execute(
            "INSERT OR IGNORE INTO _payment (resource, item, amount, currency, state, provider, pay_at, key, created_at, updated_at) VALUES (?, ?, ?, ?, 'pending', ?, '', ?, ?, ?)",
            (resource.table, number, amount, currency, application.payment_provider, key, now(), now()),
        )
        row = connection.execute("SELECT * FROM _payment WHERE resource = ? AND item = ? AND key = ?", (resource.table, number, key)).fetchone()
    if (row["amount"], row["currency"]) != (amount, currency):
        raise HttpError(409, "key_used", "this Idempotency-Key was used for another payment", {"Idempotency-Key": "was used"})
    fresh = row["reference"] is None
    if fresh:
        name = f"{resource.path}/{number}/{row['id']}/{key}"
        reference, pay_at = asked(lambda: application.payments.create(name, amount, currency, f"{resource.singular} {number}"))
        with store.transaction() as connection:
            connection.execute("UPDATE _payment SET reference = ?, pay_at = ?, updated_at = ? WHERE id = ? AND reference IS NULL", (reference, pay_at, now(), row["id"]))
            row = connection.execute("SELECT * FROM _payment WHERE id = ?", (row["id"],)).fetchone()
    return shown(row), fresh


def of(application, resource):
    base = re.escape(f"{PREFIX}/{resource.path}") + "/([0-9]{1,16})/payments"

    def make(request, match):
        number, (amount, currency) = application.store.number(resource, request.owner, match[1]), wanted(request.json())
        key = request.headers.get("Idempotency-Key") or secrets.token_hex(16)
        if not KEY.fullmatch(key):
            raise HttpError(422, "invalid", "Idempotency-Key must be 1 to 200 characters of ASCII", {"Idempotency-Key": "is not a key"})
        payment, fresh = pay(application, resource, request.owner, number, amount, currency, key)
        return Answer(201 if fresh else 200, payment)

    def all_of_it(request, match):
        return Answer(200, {"items": listed(application, resource, application.store.number(resource, request.owner, match[1]))})

    return [("GET", base, all_of_it), ("POST", base, make)]


def asked(call):
    """What the provider says; what it cannot just now is to be tried again."""
    try:
        return call()
    except Exception as error:
        raise HttpError(502, "provider", f"the payment provider did not answer: {error}", headers={"Retry-After": "5"}) from None


def apply(application, event):
    """True when it changed a payment: told again, or too late, it changes nothing."""
    if not isinstance(event, dict) or event.get("type") not in EVENTS or not all(isinstance(event.get(name), str) for name in ("id", "reference")):
        raise Invalid({"event": "must have an id, a known type and a reference"})
    before, after = EVENTS[event["type"]]
    with application.store.transaction() as connection:
        row = connection.execute("SELECT id FROM _payment WHERE reference = ?", (event["reference"],)).fetchone()
        if row is None:
            # It may come before we know its name; the provider tells it again.
            raise Missing("payment")
        if connection.execute("INSERT OR IGNORE INTO _payment_event VALUES (?, ?)", (event["id"], now())).rowcount == 0:
            return False
        update = "UPDATE _payment SET state = ?, updated_at = ? WHERE id = ? AND state IN (SELECT value FROM json_each(?))"
        return connection.execute(update, (after, now(), row["id"], json.dumps(before))).rowcount == 1


def describe(document):
    schemas, bad = document["components"]["schemas"], {status: "Error" for status in ("400", "404", "409", "411", "413", "422")}
    whole, text = {"type": "integer"}, {"type": "string"}
    fields = {name: whole if name in ("id", "item", "amount") else text for name in SHOWN}
    fields["state"] = {"type": "string", "enum": ["pending", "paid", "failed", "refunding", "refunded"]}
    fields["reference"] = {"type": ["string", "null"]}
    schemas["Payment"] = {"type": "object", "properties": fields, "required": list(SHOWN)}
    schemas["Payments"] = {"type": "object", "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Payment"}}}, "required": ["items"]}
    amount, currency = {"type": "integer", "minimum": 1, "maximum": AMOUNT_MOST}, {"type": "string", "pattern": "^[A-Z]{3}$"}
    schemas["PaymentInput"] = {"type": "object", "properties": {"amount": amount, "currency": currency}, "required": ["amount", "currency"], "additionalProperties": False}
    schemas["PaymentEvent"] = {"type": "object", "properties": {"id": text, "type": {"type": "string", "enum": list(EVENTS)}, "reference": text}, "required": ["id", "type", "reference"]}
    schemas["Applied"] = {"type": "object", "properties": {"applied": {"type": "boolean"}}, "required": ["applied"]}
    schemas["Outcome"] = {"type": "object", "properties": {"outcome": {"type": "string", "enum": ["paid", "failed", "refunded"]}}, "required": ["outcome"]}
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": INTEGER_MOST}}
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"}}
    paths = document["paths"]
    for resource in RESOURCES:
        make = operation("Ask for a payment; the same Idempotency-Key is the same payment", {"200": "Payment", "201": "Payment", "502": "Error", **bad}, "PaymentInput", [key])
        paths[f"{PREFIX}/{resource.path}/{{id}}/payments"] = {"parameters": [number], "get": operation("List payments", {"200": "Payments", "404": "Error"}), "post": make}
    paths[f"{PREFIX}/payments/{{id}}"] = {"parameters": [number], "get": operation("Read a payment", {"200": "Payment", "404": "Error"})}
    refund = operation("Refund a payment; a webhook says when it is done", {"202": "Payment", "404": "Error", "409": "Error", "502": "Error"})
    paths[f"{PREFIX}/payments/{{id}}/refund"] = {"parameters": [number], "post": refund}
    paths[WEBHOOK] = {"post": {**operation("What the provider says, signed", {"200": "Applied", "401": "Error", **bad}, "PaymentEvent"), "security": []}}
    reference = {"name": "reference", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[a-z0-9_]{1,100}$"}}
    pay = operation("Pay, where the provider is the sandbox", {"200": "Applied", **bad}, "Outcome")
    paths[f"{PREFIX}/payments/sandbox/{{reference}}"] = {"parameters": [reference], "post": pay}
