"""Ask a running node: Client for plain programs, AsyncClient for asyncio; the same verbs."""

from molmo_node.client.aio import AsyncClient, AsyncSubscription, AsyncWatch
from molmo_node.client.subscription import Subscription
from molmo_node.client.sync import Client, LeasedWatch, Pending

__all__ = [
    "AsyncClient",
    "AsyncSubscription",
    "AsyncWatch",
    "Client",
    "LeasedWatch",
    "Pending",
    "Subscription",
]
