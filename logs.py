"""Structured logs without patient data and secrets: only fields on the allow-list get through."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from settings import Settings

ALLOWED = frozenset(
    {
        *(
            "event",
            "level",
            "timestamp",
            "logger",
            "exception",
            "part",
            "version",
            "code",
            "error",
            "status",
            "source",
            "kind",
        ),
        *(
            "request_id",
            "number",
            "event_name",
            "command",
            "command_id",
            "report_id",
            "effect_id",
            "notice_id",
            "letter_id",
            *("clinic_id", "list_id"),
            "account_id",
            "program",
        ),
        *(
            "method",
            "path",
            "duration_ms",
            "attempt",
            "count",
            "address",
            "task_queue",
            "namespace",
            "digest_id",
            "name",
            "attachment_id",
            "workflow_id",
            "key",
            "size_bytes",
            "pause_seconds",
            "message_id",
            "endpoint_id",
            "call",
            "trace",
        ),
    }
)
"""Names of log fields. None of them ever holds a name, an address, a text or a password of a person."""


def configure(settings: Settings) -> None:
    """Send this process's logs to standard error, as JSON lines or readable ones; once, at its start."""
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if settings.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _only_allowed,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for noisy in ("uvicorn.access", "httpx", "httpcore", "fontTools", "pyhanko", "pyhanko_certvalidator"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _only_allowed(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in [name for name in fields if name not in ALLOWED and not name.startswith("_")]:
        fields[name] = "(left out)"
    return fields
