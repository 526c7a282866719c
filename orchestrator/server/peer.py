"""Who a client is, as far as its address tells."""

import ipaddress


def network_of(address: str) -> str:
    """What one client may have: an IPv4 address, or the first half of an IPv6 address, as every
    network of IPv6 has 2^64 addresses to choose from (RFC 4291 §2.5.1). Empty: there is none.
    """
    if ":" not in address:
        return address
    found = ipaddress.IPv6Address(address.partition("%")[0])
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
