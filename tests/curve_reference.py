"""Curve25519 as RFC 7748 writes it, on Python integers: what the fast code is compared with."""

PRIME = 2**255 - 19
A = 486662


def ladder(scalar, u):
    """scalar * u for an unclamped scalar: the Montgomery ladder of RFC 7748, section 5."""
    x1, x2, z2, x3, z3, swap = u % PRIME, 1, 0, u % PRIME, 1, 0
    for place in reversed(range(255)):
        bit = scalar >> place & 1
        if swap != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % PRIME, x1 * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, e * (aa + (A - 2) // 4 * e) % PRIME
    if swap:
        x2, z2 = x3, z3
    return x2 * pow(z2, -1, PRIME) % PRIME if z2 else 0


def clamped(secret):
    """RFC 7748, section 5: decodeScalar25519."""
    number = int.from_bytes(secret, "little")
    return number & ~7 & (2**255 - 1) | 2**254


def on_curve(u):
    """Euler's criterion for u^3 + A u^2 + u."""
    return pow((u**3 + A * u * u + u) % PRIME, (PRIME - 1) // 2, PRIME) == 1


def encoded(*numbers):
    """Points as bytes, one after the other."""
    return b"".join(number.to_bytes(32, "little") for number in numbers)
