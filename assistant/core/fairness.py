"""Whose turn it is with the model: clients in turn, each client's requests in their order. Pure."""

from collections import OrderedDict, deque
from math import ceil

SHARE = 0.3  # of a new measurement in what a request is expected to take
EXPECTED_S = 5.0  # until one was measured


class Fairness:
    """``enter`` a ticket, ``admit`` whose turn it is, ``leave`` when it is done or gone. Tickets are any numbers."""

    def __init__(self, limit: int, at_once: int = 1) -> None:
        """``limit``: of those that wait, all clients together."""
        self._limit, self._at_once = limit, at_once
        self._waiting: OrderedDict[str, deque[int]] = OrderedDict()  # the client whose turn is next first
        self._clients: dict[int, str] = {}
        self._admitted: dict[int, float] = {}  # when, s
        self._takes_s = EXPECTED_S

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def at_work(self) -> int:
        return len(self._admitted)

    def enter(self, ticket: int, client: str) -> bool:
        """Wait; False where too many do already. A place at work that is free need not be waited for."""
        free = self._at_once - self.at_work
        if self.waiting >= self._limit + max(0, free):
            return False
        self._waiting.setdefault(client, deque()).append(ticket)
        self._clients[ticket] = client
        return True

    def admit(self, now_s: float) -> list[int]:
        """Those who may begin now."""
        begun = []
        while self._waiting and self.at_work < self._at_once:
            client, tickets = self._waiting.popitem(last=False)
            ticket = tickets.popleft()
            if tickets:
                self._waiting[client] = tickets  # behind all others
            self._admitted[ticket] = now_s
            begun.append(ticket)
        return begun

    def leave(self, ticket: int, now_s: float) -> None:
        """It is done, or its client is gone; also one that is not known any more."""
        client = self._clients.pop(ticket, None)
        began = self._admitted.pop(ticket, None)
        if began is not None:
            self._takes_s += SHARE * (now_s - began - self._takes_s)
        elif client is not None and client in self._waiting:
            self._waiting[client].remove(ticket)
            if not self._waiting[client]:
                del self._waiting[client]

    def position(self, ticket: int) -> int:
        """How many begin before it; 0 for the next one, and for one at work."""
        client = self._clients.get(ticket)
        if client is None or ticket in self._admitted:
            return 0
        mine, ahead, earlier = self._waiting[client].index(ticket), 0, True
        for other, tickets in self._waiting.items():
            if other == client:
                earlier = False
            else:  # a client whose turn comes before has one request more served until then
                ahead += min(len(tickets), mine + earlier)
        return mine + ahead

    def retry_after_s(self) -> int:
        """When one who was refused may try again: about when half of those who wait are served."""
        return max(1, ceil(self._takes_s * (self.waiting / 2 + self.at_work) / self._at_once))
