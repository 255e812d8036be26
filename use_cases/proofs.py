"""The second proof of identity: whoever is signed in shows once more that it is they, for one act and what it is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from domain.model import Discreet
from use_cases import step_up
from use_cases.caller import Caller
from use_cases.one_time_codes import Method
from use_cases.passkey_answers import MAX_ANSWER
from use_cases.passwords import MAX_PASSWORD
from use_cases.problems import FieldFault, Problem
from use_cases.second_factor import check_again
from use_cases.services import Services
from use_cases.sign_in import MAX_CODE, proves_again
from use_cases.ways_in import proves_by_password


class Proof(Discreet):
    """The caller's password, again, and a code where they have a second factor."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)] | None = Field(
        None,
        repr=False,
        description="Needed, but for who signs in through their organization only, and has just confirmed there, in the portal, "
        "that it is they.",
        examples=["correct horse battery staple"],
    )
    code: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CODE)] | None = Field(
        None,
        repr=False,
        description="A code of the second factor, or a recovery code, where they have one.",
        examples=[None],
    )
    passkey: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ANSWER)] | None = Field(
        None,
        repr=False,
        description="Instead of a code, what a passkey answered, as a browser gives it (JSON).",
        examples=[None],
    )


@dataclass(frozen=True)
class Proved:
    """How somebody has proved who they are; where a provider confirmed it, for what, and what it said."""

    method: Method
    matter_sha256: str | None = None
    evidence: Mapping[str, Any] | None = None

    def must_be_for(self, matter_sha256: str) -> None:
        """Raise Problem `step_up_needed` when they proved it for something else."""
        if self.matter_sha256 not in (None, matter_sha256):
            raise Problem("step_up_needed")


async def proved_by(
    services: Services, caller: Caller, proof: Proof, *, confirmed_for: str, answered_for: str, whoever: bool = False
) -> Proved:
    """How the caller has proved who they are: by what their provider confirmed `confirmed_for`, else by their password, and a
    code or a passkey's answer that is for `answered_for` alone; with that, it is good once more.

    With `whoever`, everybody needs a second factor where the clinic asks for it to sign. Raises Problem `wrong_password`,
    `code_needed`, `wrong_code`, `wrong_passkey`, `second_factor_missing`, `step_up_needed`; `invalid_input` where no
    password is said.
    """
    if not await proves_by_password(services, caller.account):
        confirmed = await step_up.spend(services, caller, confirmed_for)
        return Proved(Method.PROVIDER, confirmed.matter_sha256, confirmed.evidence)
    if proof.password is None:
        raise Problem("invalid_input", [FieldFault("password", "required")])
    if not await proves_again(services, caller, proof.password):
        raise Problem("wrong_password")
    method = await check_again(services, caller, proof.code, proof.passkey, answered_for, whoever=whoever)
    return Proved(method)
