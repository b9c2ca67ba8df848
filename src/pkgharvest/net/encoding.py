"""Bodies as they go over the wire."""

from __future__ import annotations

import zlib

from pkgharvest.errors import OversizedError, UnreadableError

MIB = 2**20


def unpack(raw: bytes, encoding: str, most: int, host: str) -> bytes:
    """Return a body without its compression.

    Raises:
        UnreadableError: the compression is broken, cut off, or not gzip.
        OversizedError: it hides more than ``most`` bytes.
    """
    if encoding.lower() in ("", "identity") or not raw:
        return raw
    if encoding.lower() != "gzip":
        raise UnreadableError(f"{host} answered in an encoding that was not asked for: {encoding!r}")
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        body = inflater.decompress(raw, most)
    except zlib.error as error:
        raise UnreadableError(
            f"{host} answered with broken compression: {error}", "Try again later"
        ) from error
    if inflater.unconsumed_tail:
        raise OversizedError(f"{host} answered with what unpacks to more than {most // MIB} MiB")
    if not inflater.eof:
        raise UnreadableError(f"{host} answered with an incomplete body", "Try again later")
    return body
