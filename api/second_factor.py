"""One's own second factor: one-time codes by the clock, and recovery codes."""

from fastapi import APIRouter

from use_cases import second_factor
from use_cases.second_factor import (
    Enrolment,
    FactorView,
    PasswordAgain,
    PasswordAndCode,
    RecoveryCodes,
    ShownCode,
)
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/me/second-factor", tags=["accounts"])


@router.get("", summary="My second factor")
async def get_second_factor(caller: CallerOf, services: ServicesOf) -> FactorView:
    """Whether you have one, how many recovery codes are left, and whether your clinic asks for one to sign."""
    return await second_factor.own_factor(services, caller)


@router.post("", status_code=201, summary="Set a second factor up")
async def begin_second_factor(proof: PasswordAgain, caller: CallerOf, services: ServicesOf) -> Enrolment:
    """A secret for an authenticator application (TOTP: SHA-1, six digits, 30 seconds), in force once `/confirm` got a code."""
    return await second_factor.begin(services, caller, proof)


@router.post("/confirm", summary="Confirm a second factor")
async def confirm_second_factor(shown: ShownCode, caller: CallerOf, services: ServicesOf) -> RecoveryCodes:
    """A code of the new secret, within 15 minutes. The answer holds recovery codes, which are never shown again."""
    return await second_factor.confirm(services, caller, shown)


@router.post("/recovery-codes", summary="Get other recovery codes")
async def renew_recovery_codes(proof: PasswordAndCode, caller: CallerOf, services: ServicesOf) -> RecoveryCodes:
    """Those before serve no more."""
    return await second_factor.renew_recovery_codes(services, caller, proof)


@router.post("/remove", status_code=204, summary="Remove my second factor")
async def remove_second_factor(proof: PasswordAndCode, caller: CallerOf, services: ServicesOf) -> None:
    """From then on the password is enough again, but for signing where your clinic asks for both."""
    await second_factor.remove(services, caller, proof)
