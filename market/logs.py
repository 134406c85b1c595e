"""Logs for machines: one JSON object a line, tracebacks without the values of variables (they hold secrets)."""

import sys

import structlog


def _on_stderr(*_: object) -> structlog.PrintLogger:
    """Looked up at each line: who runs us may have put another file in its place."""
    return structlog.PrintLogger(sys.stderr)


def configure() -> None:
    """Set up structured logs on standard error; again is harmless."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=_on_stderr,
        cache_logger_on_first_use=False,
    )
