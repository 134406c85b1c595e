"""The postman: writes each waiting message from its template and delivers it, always outside a Unit."""

import smtplib
import ssl
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import lru_cache
from urllib.parse import unquote, urlsplit

import jinja2
import structlog
from sqlmodel import col, select

from market.identity.queries import party, user_by_login
from market.identity.tables import Mail
from market.settings import TEMPLATES, Settings
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.unit import Store, slow

MAX_ATTEMPTS = 8
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
log = structlog.get_logger()


class MailRefused(RuntimeError):
    """The mail server cannot be used safely: a password would travel in the clear."""


@lru_cache(maxsize=1)
def _letters() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES / "mail"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  # plain text, never HTML
        keep_trailing_newline=True,
    )


def due(mail: Mail, now: datetime) -> bool:
    """Whether a message may be tried now: at once, then 1, 4, 16 … minutes after it was written.

    Eight attempts in all; the last waits for 2.8 days.
    """
    if mail.sent_at is not None or mail.failures >= MAX_ATTEMPTS:
        return False
    wait = timedelta(minutes=4 ** (mail.failures - 1)) if mail.failures else timedelta()
    return now >= mail.created_at + wait


def send_waiting(store: Store, settings: Settings) -> int:
    """投递邮件. Deliver every message that is due. Returns how many were delivered.

    A message is claimed before it leaves (an attempt is counted), so two processes do not send it
    twice; a crash in between costs one attempt, and the message is sent again later.
    """
    now = clock.now()
    with store.view() as view:
        waiting = view.session.exec(
            select(Mail)
            .where(col(Mail.sent_at).is_(None), col(Mail.failures) < MAX_ATTEMPTS)
            .order_by(col(Mail.created_at))
        ).all()
    return sum(_deliver(store, settings, mail) for mail in waiting if due(mail, now))


def _deliver(store: Store, settings: Settings, mail: Mail) -> bool:
    if not _claim(store, mail):
        return False
    try:
        message = letter(store, settings, mail)
        send(settings, mail.id, message)
    except (OSError, smtplib.SMTPException, jinja2.TemplateError, MailRefused) as error:
        log.warning("mail not delivered", mail=mail.id, attempt=mail.failures + 1, error=repr(error))
        return False
    with store.unit("system:postman") as unit:
        row = unit.session.get_one(Mail, mail.id, with_for_update=True)
        row.sent_at, row.data = clock.now(), {}  # the secret link is not kept once it left
        unit.record("mail.sent", f"mail:{mail.id}", template=mail.template)
    return True


def _claim(store: Store, mail: Mail) -> bool:
    with store.unit("system:postman") as unit:
        row = unit.session.get(Mail, mail.id, with_for_update=True)
        if row is None or row.sent_at is not None or row.failures != mail.failures:
            return False
        row.failures += 1
    return True


def letter(store: Store, settings: Settings, mail: Mail) -> EmailMessage:
    """The message a row stands for: the template's first line is the subject."""
    with store.view() as view:
        user = user_by_login(view, mail.to)
        try:
            org = party(view, mail.data["org"]).name if "org" in mail.data else ""
        except NotFound:
            org = ""
    lang = mail.lang if mail.lang in {"zh", "en"} else "zh"
    text = (
        _letters()
        .get_template(f"{mail.template}.{lang}.txt")
        .render(
            mail.data
            | {
                "name": user.name if user else mail.to,
                "org": org,
                "page": f"{settings.public_url}{mail.data.get('path', '')}",
                "link": f"{settings.public_url}/link/{mail.data.get('secret', '')}",
            }
        )
    )
    subject, _, body = text.partition("\n")
    message = EmailMessage()
    message["Subject"] = subject.strip()
    message["From"] = settings.mail.sender
    message["To"] = mail.to
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = make_msgid(mail.id, domain=settings.mail.sender.partition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body.lstrip("\n"))
    return message


def send(settings: Settings, name: str, message: EmailMessage) -> None:
    """Hand the message to the mail server, or keep it as `{name}.eml` in the data folder. A slow door."""
    slow("mail")
    if settings.mail.url:
        _smtp(settings.mail.url, message)
        return
    folder = settings.data_dir / "mail"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.part"
    part.touch(mode=0o600)
    part.write_bytes(message.as_bytes())
    part.replace(folder / f"{name}.eml")


def _smtp(url: str, message: EmailMessage) -> None:
    address = urlsplit(url)
    host = address.hostname or "localhost"
    server: smtplib.SMTP
    if address.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, address.port or 465, timeout=20, context=ssl.create_default_context())
    else:
        server = smtplib.SMTP(host, address.port or 25, timeout=20)
    with server:
        server.ehlo()
        safe = address.scheme == "smtps" or host in LOOPBACK
        if address.scheme != "smtps" and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
            safe = True
        if address.username:
            if not safe:
                raise MailRefused("the mail server offers no TLS, and a password is set")
            server.login(unquote(address.username), unquote(address.password or ""))
        server.send_message(message)
