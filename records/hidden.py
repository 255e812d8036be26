"""What the records know only by its SHA-256: secrets that others keep, and what people typed that is nobody's to read."""

import hashlib


def hidden(text: str) -> str:
    """How the records know it, in lower-case hexadecimal."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
