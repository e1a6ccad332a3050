"""Who asks: the tenant and scopes of an API key, as the gate leaves them in a request's scope."""

from dataclasses import dataclass
from typing import Final, Literal

from oferta.home import DEFAULT_TENANT
from oferta_serving.problems import RequestRefused

Scope = Literal["serve", "explain", "events", "consent", "privacy", "operate"]
SCOPES: Final[tuple[Scope, ...]] = (
    "serve",  # lists, decisions, feedback, audiences
    "explain",  # receipts, profiles, what-ifs: scores and reasons for staff
    "events",  # what customers did
    "consent",  # what they agree to
    "privacy",  # export and erasure of a customer
    "operate",  # the detailed state of the service
)

PRINCIPAL: Final = "principal"
"""Where the principal lies in a request's ASGI scope."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a key speaks for. `name` tells it in logs and is no secret."""

    name: str
    tenant: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether the key has a scope."""
        return scope in self.scopes

    def need(self, scope: Scope) -> None:
        """Refuse a request that this key is not for.

        Raises:
            RequestRefused: `key.scope`.
        """
        if scope not in self.scopes:
            raise RequestRefused("key.scope")


LOCAL: Final = Principal("local", DEFAULT_TENANT, frozenset(SCOPES))
"""Anybody on this machine, where no keys are configured."""

NOBODY: Final = Principal("nobody", DEFAULT_TENANT, frozenset())
"""Who asks for what is public."""
