"""Signatures of Standard Webhooks, version 1 (symmetric): HMAC-SHA256 over id, timestamp and body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, "Signature scheme".
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from bridge.core.views import epoch_ms

_PREFIX = "whsec_"
_NEW_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def new_secret() -> str:
    """A fresh one."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def wrong_secret(value: str) -> str | None:
    """What is wrong with a secret that somebody brings along, None if nothing is."""
    try:
        size = len(_key(value))
    except (binascii.Error, ValueError):
        size = 0
    if not value.startswith(_PREFIX) or not _FEWEST_BYTES <= size <= _MOST_BYTES:
        return f"it should be `{_PREFIX}` and base64 of {_FEWEST_BYTES} to {_MOST_BYTES} random bytes"
    return None


def signed(message_id: str, at: datetime, body: bytes, with_secrets: Sequence[str]) -> Mapping[str, str]:
    """The three headers; a signature for each secret, in their order."""
    timestamp = str(epoch_ms(at) // 1000)
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    signatures = (base64.b64encode(hmac.digest(_key(one), content, hashlib.sha256)).decode() for one in with_secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }


def _key(secret: str) -> bytes:
    text = secret.removeprefix(_PREFIX)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
