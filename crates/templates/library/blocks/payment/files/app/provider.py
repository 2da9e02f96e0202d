"""Who moves the money. A provider is told of a payment and of a refund, and says by signed webhooks what became of them."""
import contextlib
import hashlib
import hmac
import importlib
import json
import os
import secrets
import time

from app.migrations import Impossible

SANDBOX = "sandbox"
# A webhook older than that may be somebody's who has listened.
TOLERANCE_S = 300


class Sandbox:
    """No money moves: whoever calls `POST /payments/sandbox/<reference>` decides whether it was paid."""

    def create(self, key, amount, currency, description):
        """`key` is the same when it is asked again. Returns its reference, and the place where people pay."""
        reference = "sandbox_" + hashlib.sha256(key.encode()).hexdigest()[:24]
        return reference, f"payments/sandbox/{reference}"

    def refund(self, key, reference, amount):
        """It is confirmed by a webhook; the sandbox leaves that to `POST /payments/sandbox/<reference>` too."""


def provider(environment=os.environ):
    """(its name, the provider)"""
    name = environment.get("PAYMENT_PROVIDER") or SANDBOX
    if name == SANDBOX:
        return name, Sandbox()
    module, _, cls = name.partition(":")
    try:
        made = getattr(importlib.import_module(module), cls)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise Impossible(f"PAYMENT_PROVIDER must be sandbox or module:Class, and {name!r} is neither: {error}") from None
    if not environment.get("PAYMENT_WEBHOOK_SECRET"):
        raise Impossible("PAYMENT_WEBHOOK_SECRET is needed: what the provider signs its webhooks with")
    return name, made


def secret(directory, environment=os.environ):
    """What webhooks are signed with; that of the sandbox is made once and kept with the data."""
    given = environment.get("PAYMENT_WEBHOOK_SECRET")
    if given:
        return given.encode()
    path = directory / "payment-secret"
    if not path.exists():
        # Whole or not at all, and the first one's of several that start at once.
        temporary = directory / f".payment-secret.{secrets.token_hex(4)}"
        with open(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return path.read_bytes()


def sign(key, body, at):
    """The header `Webhook-Signature`: of the time and the body, so that neither is another one's."""
    return f"t={at},v1={hmac.new(key, f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


def verified(key, body, header, clock=time.time):
    """The event, when the signature is ours and new; else none."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    at = next((value for name, _, value in parts if name == "t"), "")
    if not at.isascii() or not at.isdigit() or len(at) > 12 or abs(clock() - int(at)) > TOLERANCE_S:
        return None
    expected = sign(key, body, at).partition("v1=")[2].encode()
    # There are two while the secret is being changed.
    if not any(name == "v1" and hmac.compare_digest(value.encode(), expected) for name, _, value in parts):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
