"""The part of Stripe's API that is used here, as its reference describes it, over real HTTP: PaymentIntents with manual
capture, idempotent requests, errors; and everything that can go wrong on the way."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

KEY = "sk_test_notarealkey"
WEBHOOK_SECRET = "whsec_notareal"
DECLINED, THREE_D_SECURE = "pm_card_visa_chargeDeclined", "pm_card_authenticationRequired"


class StripeDesk:
    """Intents in memory."""

    def __init__(self) -> None:
        self.intents: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, str | None, dict[str, str]]] = []
        """Method, path, idempotency key and form of each."""
        self.troubles: list[str] = []
        """Of the next requests: `lost` (done, then the line is cut), `busy` (429), `broken` (500), `conflict` (409)."""
        self.url = ""
        self._answers: dict[str, tuple[str, int, dict[str, Any]]] = {}

    def add_intent(self, **fields: Any) -> dict[str, Any]:
        """One that holds money, as if it had been confirmed in a browser."""
        intent = {
            "id": f"pi_{len(self.intents) + 1}",
            "object": "payment_intent",
            "status": "requires_capture",
            "capture_method": "manual",
            "amount": 2000,
            "amount_capturable": 2000,
            "amount_received": 0,
            "currency": "eur",
            "metadata": {},
            "cancellation_reason": None,
            **fields,
        }
        self.intents[intent["id"]] = intent
        return intent

    def notice(self, kind: str, intent_id: str, *, at: float | None = None) -> tuple[bytes, str]:
        """The body of a webhook and its signature."""
        event = {"id": "evt_1", "object": "event", "type": kind, "data": {"object": self.intents[intent_id]}}
        body = json.dumps(event).encode()
        stamp = int(time.time() if at is None else at)
        digest = hmac.digest(WEBHOOK_SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hex()
        return body, f"t={stamp},v1={digest}"

    def answer(self, method: str, path: str, key: str | None, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """What the API says, once per key."""
        text = f"{method} {path} {sorted(form.items())}"
        if key is not None and key in self._answers:
            before, status, said = self._answers[key]
            if before != text:
                return _error(400, "idempotency_error", None, "Keys for idempotent requests can only be used once.")
            return status, said
        status, said = self._do(method, path.removeprefix("/v1/payment_intents").strip("/").split("/"), form)
        said = json.loads(json.dumps(said))  # as it was then
        if key is not None:
            self._answers[key] = (text, status, said)
        return status, said

    def _do(self, method: str, path: list[str], form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path == [""]:
            return self._create(form)
        intent = self.intents.get(path[0])
        if intent is None:
            return _error(404, "invalid_request_error", "resource_missing", f"No such payment_intent: '{path[0]}'")
        if path[1:] == ["capture"]:
            return self._capture(intent, int(form["amount_to_capture"]))
        if path[1:] == ["cancel"]:
            if intent["status"] != "requires_capture":
                return _unexpected(intent)
            intent |= {"status": "canceled", "amount_capturable": 0, "cancellation_reason": None}
        elif method == "POST":
            intent["metadata"] |= _metadata(form)
        return 200, intent

    def _create(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        assert form["capture_method"] == "manual"
        assert form["confirm"] == form["error_on_requires_action"] == "true"
        if form["payment_method"] == DECLINED:
            return _error(402, "card_error", "card_declined", "Your card was declined.", decline_code="generic_decline")
        if form["payment_method"] == THREE_D_SECURE:
            return _error(402, "card_error", "authentication_required", "Your card requires authentication.")
        if not form["payment_method"].startswith("pm_card"):
            said = f"No such PaymentMethod: '{form['payment_method']}'"
            return _error(400, "invalid_request_error", "resource_missing", said)
        amount = int(form["amount"])
        made = self.add_intent(
            amount=amount, amount_capturable=amount, currency=form["currency"], metadata=_metadata(form)
        )
        return 200, made

    def _capture(self, intent: dict[str, Any], amount: int) -> tuple[int, dict[str, Any]]:
        if intent["status"] != "requires_capture":
            return _unexpected(intent)
        if amount > intent["amount_capturable"]:
            return _error(400, "invalid_request_error", "amount_too_large", "The amount is more than is held.")
        intent |= {"status": "succeeded", "amount_capturable": 0, "amount_received": amount}
        return 200, intent

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of a connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.splitlines()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        method, path, _ = first.split(" ")
        form = {name: values[0] for name, values in parse_qs(body).items()}
        key = headers.get("idempotency-key")
        self.requests.append((method, path, key, form))
        trouble = self.troubles.pop(0) if self.troubles else None
        if headers["authorization"] != f"Bearer {KEY}":
            status, said = _error(401, "invalid_request_error", None, "Invalid API Key provided: sk_test_****alse")
        elif trouble in _TROUBLES:
            status, said = _TROUBLES[trouble]
        else:
            status, said = self.answer(method, path, key, form)
        if trouble != "lost":
            content = json.dumps(said).encode()
            start = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n"
            writer.write(start.encode() + b"connection: close\r\n\r\n" + content)
            await writer.drain()
        writer.close()


def _metadata(form: dict[str, str]) -> dict[str, str]:
    return {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")}


def _error(status: int, kind: str, code: str | None, message: str, **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"type": kind, "message": message, **({"code": code} if code else {}), **more}}


def _unexpected(intent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    said = f"This PaymentIntent could not be used because it has a status of {intent['status']}."
    return _error(400, "invalid_request_error", "payment_intent_unexpected_state", said)


_TROUBLES = {
    "busy": _error(429, "invalid_request_error", "rate_limit", "Too many requests."),
    "broken": _error(500, "api_error", None, "Something went wrong on our end."),
    "conflict": _error(409, "invalid_request_error", "idempotency_key_in_use", "Another request is in progress."),
}


@asynccontextmanager
async def stripe_desk() -> AsyncIterator[StripeDesk]:
    """It listens until the context is left."""
    made = StripeDesk()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with server:
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield made
