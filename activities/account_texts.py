"""What the e-mails about accounts say. They name the person, their clinic and their user name, and nothing of any request,
but for its number where it was opened in an emergency.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.accounts import LetterKind
from translations import gettext_noop as _


@dataclass(frozen=True)
class AccountText:
    """One e-mail in English, to be translated by gettext. `{clinic}` and `{username}` are filled in.

    `subject` ends the subject line and is the heading, `button` stands on the link where there is one.
    """

    subject: str
    happened: str
    to_do: str | None = None
    button: str | None = None


_BEGIN_ANEW = _(
    "Have it looked at, then have the system send its Subscription again and ask for what it has missed: you find it under "
    "People, Webhooks."
)
_TELL = _("If you did not expect this, tell the administrator of your clinic now.")

_SIGN_IN_CHANGED = _("how you sign in is changed")

VOICE_CODE = _(
    "A second code is needed as well. The administrator of your clinic gives it to you by voice, never by e-mail."
)
"""Said to who may sign reports: the e-mail alone lets nobody in."""

ACCOUNT_TEXTS: Mapping[LetterKind, AccountText] = {
    LetterKind.INVITATION: AccountText(
        _("you are invited"),
        _("{clinic} invites you to Relais, where clinicians ask specialists for advice and answer them."),
        _("Choose your user name and your password; then you are signed in."),
        _("Accept the invitation"),
    ),
    LetterKind.PASSWORD_RESET: AccountText(
        _("a new password"),
        _("A new password was asked for your account {username}."),
        _("If it was not you, do nothing: your password stays as it is."),
        _("Choose a new password"),
    ),
    LetterKind.PASSWORD_CHANGED: AccountText(
        _("your password is changed"),
        _("The password of your account {username} was changed, and its other sessions have ended."),
        _TELL,
    ),
    LetterKind.ADDRESS_LEFT: AccountText(
        _("your e-mail address is changed"),
        _(
            "The administrator of your clinic has changed the address of your account {username}. E-mails no longer come here."
        ),
        _TELL,
    ),
    LetterKind.ADDRESS_TAKEN: AccountText(
        _("your e-mail address is changed"),
        _("E-mails of your account {username} come here from now on."),
        _TELL,
    ),
    LetterKind.SECOND_FACTOR_SET_UP: AccountText(
        _SIGN_IN_CHANGED,
        _("A second factor was set up for your account {username}, and its other sessions have ended."),
        _TELL,
    ),
    LetterKind.SECOND_FACTOR_REMOVED: AccountText(
        _SIGN_IN_CHANGED,
        _("The second factor of your account {username} was removed: the password is enough again."),
        _TELL,
    ),
    LetterKind.SECOND_FACTOR_RESET: AccountText(
        _SIGN_IN_CHANGED,
        _("An administrator has removed the second factor of your account {username}: the password is enough again."),
        _TELL,
    ),
    LetterKind.PASSKEY_ADDED: AccountText(
        _SIGN_IN_CHANGED, _("A passkey was added to your account {username}."), _TELL
    ),
    LetterKind.SERVICE_ACCOUNT_ENDS: AccountText(
        _("a service account ends soon"),
        _("A service account of {clinic}, by which one of its systems calls Relais, ends within 30 days."),
        _("Decide whether the system still needs it: you find it under People, Systems of the clinic."),
    ),
    LetterKind.WEBHOOK_DISABLED: AccountText(
        _("a webhook is turned off"),
        _(
            "An address at which a system of {clinic} hears of events wants no more, or has not answered for five days. Relais "
            "no longer calls it."
        ),
        _("Have it looked at, then turn it on again: you find it under People, Webhooks, with what can be sent again."),
    ),
    LetterKind.SUBSCRIPTION_DISABLED: AccountText(
        _("a system is not told of events any more"),
        _(
            "An address at which a system of {clinic} has subscribed to events wants no more, or has answered no call for five "
            "days. Relais no longer calls it."
        ),
        _BEGIN_ANEW,
    ),
    LetterKind.SUBSCRIPTION_EVENT_LOST: AccountText(
        _("a system lacks an event"),
        _(
            "A system of {clinic} has subscribed to events, and could not be told of one of them, for all that was tried. Relais "
            "tells it of no others until it begins anew."
        ),
        _BEGIN_ANEW,
    ),
    LetterKind.PARTNER_DISABLED: AccountText(
        _("a partner is not told any more"),
        _(
            "A system of {clinic} that sends requests as messages wants no more answers, or has not answered for five days. "
            "Relais tells it nothing any more of what becomes of its requests."
        ),
        _(
            "Have it looked at, then turn it on again: you find it under People, Systems of the clinic, with what can be sent "
            "again."
        ),
    ),
    LetterKind.PROVISIONED: AccountText(
        _("you have an account"),
        _(
            "You have the account {username} of {clinic} in Relais, where clinicians ask specialists for advice. If you had a "
            "password there before, it no longer counts."
        ),
        _("To come in, choose “Forgotten password” on the sign-in page, and follow the link that you then get here."),
    ),
    LetterKind.HAND_OVER: AccountText(
        _("requests to hand over"),
        _("The directory of your organization has ended the access of somebody of {clinic} who holds requests."),
        _("Hand them over now: you find them under People, with the person whose access has ended."),
    ),
    LetterKind.ASKED_FOR: AccountText(
        _("requests wait for somebody who is gone"),
        _(
            "Somebody of {clinic} is no requester any more, or their account is closed, and nobody else can go on with what they "
            "asked for. Of that something is open, or has a report that lies unread."
        ),
        _(
            "It is {reader}. See under People, with that person, how much. Reports that lie unread show to their colleagues and "
            "to you. For what else waits, give the role back, or open the account again, until it is done; or have a colleague "
            "ask anew."
        ),
    ),
    LetterKind.RETENTION_LISTED: AccountText(
        _("requests were kept long enough"),
        _(
            "Requests of {clinic} were kept for as long as they must be, and stand on a list. Nothing of it is destroyed yet."
        ),
        _("Look at it, put on hold what is to stay, and approve the rest: under People, Keeping and destroying."),
    ),
    LetterKind.RETENTION_APPROVED: AccountText(
        _("requests are destroyed soon"),
        _("An administrator of {clinic} has approved that requests that were kept long enough are destroyed for good."),
        _("In three days it begins. Until then you can take the approval back: under People, Keeping and destroying."),
    ),
    LetterKind.RETENTION_SECOND: AccountText(
        _("a destruction needs your approval as well"),
        _(
            "An administrator of {clinic} has approved that requests that were kept long enough are destroyed for good. "
            "Some of them are destroyed only if somebody else approves it, too."
        ),
        _(
            "Look at the list within three days: approve it as well, or take the approval back: under People, Keeping and "
            "destroying."
        ),
    ),
    LetterKind.RETENTION_SHORTENED: AccountText(
        _("requests are kept for less long"),
        _("An administrator of {clinic} has set that its requests are kept for less long than before."),
        _("If that is not what the clinic wants, set it back: under People, Keeping and destroying."),
    ),
    LetterKind.HOLD_LIFTED: AccountText(
        _("a hold was lifted"),
        _(
            "An operator of Relais has lifted a hold by which {clinic} kept a request beyond its time, as none of your clinic's "
            "administrators sees that request any more. It is not destroyed by one person alone."
        ),
        _("If {clinic} must keep it, tell the operators of Relais now."),
    ),
    LetterKind.ACCESSES_TO_REVIEW: AccountText(
        _("accesses wait to be signed off"),
        _(
            "Relais has looked through the accesses of {clinic} of a month that is over, and nobody has signed it off yet."
        ),
        _("Say of each line what it is, and sign the month off: under People, Accesses of the month."),
    ),
    LetterKind.OPENED_IN_EMERGENCY: AccountText(
        _("a request was opened in an emergency"),
        _(
            "A request with which {clinic} has to do was opened in an emergency, by somebody to whom it does not show otherwise."
        ),
        _("It was {number}, and {reader}. Look at who, and why: under People, Access in an emergency."),
    ),
    LetterKind.OPENED_UNWATCHED: AccountText(
        _("a request was opened in an emergency"),
        _(
            "A request was opened in an emergency, by somebody to whom it does not show otherwise, and one of the clinics "
            "concerned has no administrator who could be told."
        ),
        _(
            "It was {number}, and {reader}. Reach who answers for the clinics; to end it, lock the account, or turn access in "
            "an emergency off for the clinic, on the command line (relais emergency-off)."
        ),
    ),
    LetterKind.ENDED_IN_EMERGENCY: AccountText(
        _("an access in an emergency was ended"),
        _(
            "Somebody else than who had opened a request in an emergency has ended that. For 24 hours they can’t open it again; "
            "a colleague can."
        ),
        _(
            "It was {number}, and {reader} has ended it. If it was wrong, have a colleague open it. Look at who, and why: under "
            "People, Access in an emergency."
        ),
    ),
    LetterKind.ENDED_UNWATCHED: AccountText(
        _("an access in an emergency was ended"),
        _(
            "Somebody else than who had opened a request in an emergency has ended that; and a clinic concerned has no "
            "other administrator who could be told, or the same person has ended within a day what several had opened."
        ),
        _(
            "It was {number}, and {reader} has ended it. Within about a day they have ended {ended} in all: you are told of "
            "further ones together, once an hour at most. Reach who answers for the clinics: somebody may be in danger."
        ),
    ),
    LetterKind.REFUSED_IN_EMERGENCY: AccountText(
        _("requests could not be opened in an emergency"),
        _("Within a day, somebody tried several times to open requests in an emergency that they may not open."),
        _(
            "It was {reader}. Ask them what they were looking for; from five a day on they stand in the accesses of the month."
        ),
    ),
    LetterKind.DRAFTS_END: AccountText(
        _("drafts are removed soon"),
        _("Drafts of requests that you began in Relais ({username}) have lain untouched for more than three weeks."),
        _(
            "In a week they are removed, with their photos. To keep one, open it and change something in it, or submit it."
        ),
    ),
    LetterKind.PASSKEY_REMOVED: AccountText(
        _SIGN_IN_CHANGED, _("A passkey was removed from your account {username}."), _TELL
    ),
    LetterKind.IDENTITY_LINKED: AccountText(
        _SIGN_IN_CHANGED,
        _("An identity of your organization was linked with your account {username}: you can sign in with it."),
        _TELL,
    ),
    LetterKind.IDENTITY_UNLINKED: AccountText(
        _SIGN_IN_CHANGED,
        _("An identity of your organization was removed from your account {username}: it no longer signs in here."),
        _TELL,
    ),
}
