"""Whose keys are whose: each tenant has a secret of its own, made of the project's."""

import hashlib
import hmac
from pathlib import Path

from oferta.home import DEFAULT_TENANT, owner_of
from oferta.store.key_secret import load_secret
from oferta.store.keys import KeySpace


def space_of(home: Path) -> KeySpace:
    """The keys of the tenant whose state folder `home` is, under the project's secret.

    A tenant's own secret is HMAC-SHA256 of the project's: one customer of two tenants has hashes
    that nothing connects, and a tenant's hashes tell nothing about another's.

    Raises:
        SettingsInvalid: the secret is too short, or the folder was moved.
    """
    owner = owner_of(home)
    secret = load_secret(owner.top)
    if owner.tenant == DEFAULT_TENANT:
        return KeySpace(secret)
    own = hmac.digest(secret, b"tenant\0" + owner.tenant.encode(), hashlib.sha256)
    return KeySpace(own, owner.tenant)
