"""E-mail addresses: what can be one. Checked where somebody enters it; nothing is asked of the network."""

import email_validator
from email_validator import EmailNotValidError, validate_email

_REACH_NOBODY = frozenset(email_validator.SPECIAL_USE_DOMAIN_NAMES)
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()  # the library's own way to let them pass, for demonstrations and tests


class AddressError(ValueError):
    """This is no e-mail address; the text says in a sentence what is wrong, and does not repeat it."""


def checked_address(text: str, *, reachable: bool = True) -> str:
    """The e-mail address that `text` writes, in its usual form. Raises AddressError when it writes none.

    `reachable` refuses what can get no mail from anywhere: domains such as ``invalid``, ``test`` or ``localhost``.
    """
    try:
        checked = validate_email(text.strip(), check_deliverability=False, globally_deliverable=reachable)
    except EmailNotValidError as error:
        raise AddressError(str(error)) from None
    if reachable and any(f".{checked.ascii_domain}".endswith(f".{name}") for name in _REACH_NOBODY):
        raise AddressError("The part after the @-sign is reserved: no e-mail can get there.")
    return checked.normalized


def ascii_domain(domain: str) -> str:
    """The domain as mail servers know it: one with letters such as é by its ASCII name (IDNA). Raises AddressError."""
    if domain.isascii():
        return domain
    try:
        checked = validate_email(f"someone@{domain}", check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise AddressError(str(error)) from None
    return checked.ascii_domain
