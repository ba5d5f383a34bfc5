"""How often one client may ask: a bucket of tokens each, filled at a steady rate."""

import ipaddress
from collections import OrderedDict


class Rates:
    """``admit`` each request. Remembers ``keep`` clients; the one that was silent for longest is forgotten first."""

    def __init__(self, per_s: float, burst: int, keep: int = 4096) -> None:
        self._per_s, self._burst, self._keep = per_s, burst, keep
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # client -> requests left, at this time in s

    def admit(self, client: str, now_s: float) -> float:
        """0.0: go on. Otherwise seconds until this client may ask again."""
        left, at = self._left.pop(client, (float(self._burst), now_s))
        left = min(self._burst, left + max(0.0, now_s - at) * self._per_s)
        admitted = left >= 1.0
        self._left[client] = (left - 1.0 if admitted else left, now_s)
        if len(self._left) > self._keep:
            self._left.popitem(last=False)
        return 0.0 if admitted else (1.0 - left) / self._per_s


def client_of(address: str) -> str:
    """Whom an address belongs to: of IPv6 the network, since one machine has as many addresses there as it likes."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)
