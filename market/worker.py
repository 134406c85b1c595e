"""The clock and the queue: Celery says when and where, the rooms say what. No rule lives here.

Without a broker the worker and its clock run inside the serving process. A task the broker lost is
found again: a queued run stays queued in the database, what is due stays due.
"""

import threading
from collections.abc import Callable
from typing import Any

import celery._state
import structlog
from celery import Celery
from celery import worker as celery_worker
from celery.beat import EmbeddedService
from celery.utils.nodenames import default_nodename
from celery.worker import state

from market import chores
from market.house import House

log = structlog.get_logger()
_NOTHING = "worker.nothing"


class Queue:
    """任务队列. The tasks of one house, bound to a broker or to a worker inside this process."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.embedded = not house.settings.broker_url
        self.app = Celery(
            "shugang", broker=house.settings.broker_url or "memory://embedded", set_as_current=False
        )
        self.app.conf.update(
            timezone=house.settings.timezone,
            task_acks_late=True,  # every task may be run twice: what it does is guarded by states
            task_ignore_result=True,
            worker_hijack_root_logger=False,
            worker_prefetch_multiplier=1,
            broker_connection_retry_on_startup=True,
            beat_schedule={
                "seconds": {"task": "clock.seconds", "schedule": 5.0},
                "minute": {"task": "clock.minute", "schedule": 60.0},
                "hour": {"task": "clock.hour", "schedule": 3600.0},
            },
        )
        if self.embedded:
            self.app.conf.broker_transport_options = {"polling_interval": 0.05}
        self._tasks: dict[str, Any] = {}
        self._add("clock.seconds", chores.each_few_seconds)
        self._add("clock.minute", chores.each_minute)
        self._add("clock.hour", chores.each_hour)
        self._add("refinery.cleanse", chores.cleanse)
        self._add(_NOTHING, lambda _house: None)

    def _add(self, name: str, run: Callable[..., None]) -> None:
        """Name a chore as a task; Celery reads a signature, so it gets a plain function."""

        def task(*arguments: str) -> None:
            run(self.house, *arguments)

        self._tasks[name] = self.app.task(name=name)(task)

    def send(self, name: str, *arguments: str) -> None:
        """Ask a worker to run a task soon."""
        self._tasks[name].delay(*arguments)


class _Controller(celery_worker.WorkController):  # type: ignore[misc]  # Celery has no types
    """A worker that says when it listens."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.listening = threading.Event()
        super().__init__(*args, **options)

    def on_consumer_ready(self, consumer: Any) -> None:  # noqa: ARG002  # Celery's hook
        self.listening.set()


class EmbeddedWorker:
    """A Celery worker and its clock in threads of this process."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._thread: threading.Thread | None = None
        self._clock: Any = None

    def start(self) -> None:
        """Begin to work; returns once the worker listens. Raises RuntimeError when it does not."""
        chores.at_start(self._queue.house)
        app = self._queue.app
        app.finalize()
        # Without these a task is received and never run: the worker looks for the current app.
        app.set_current()
        app.set_default()
        worker = _Controller(
            app=app,
            hostname="embedded@localhost",
            pool="threads",
            concurrency=2,
            loglevel="WARNING",
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        state.should_terminate = None
        self._thread = threading.Thread(target=worker.start, name="embedded-worker", daemon=True)
        self._thread.start()
        if not worker.listening.wait(20):
            raise RuntimeError("the embedded worker did not start")
        celery._state._set_task_join_will_block(False)  # noqa: SLF001  # it sets this for the whole process
        self._clock = EmbeddedService(
            app, max_interval=0.5, thread=True, scheduler_cls="celery.beat:Scheduler"
        )
        self._clock.start()

    def stop(self) -> None:
        """Finish what is running and end."""
        if self._clock is not None:
            self._clock.stop()
        if self._thread is not None:
            state.should_terminate = 0
            # It looks at that after a message, or after two seconds, and then waits for one more.
            for _ in range(2):
                self._queue.send(_NOTHING)
            self._thread.join(15)
            state.should_terminate = None


def answers(house: House) -> bool:
    """Whether the worker of this machine hears the broker and answers."""
    node = default_nodename(None)
    return bool(Queue(house).app.control.ping(destination=[node], timeout=5))


def run_worker(house: House) -> None:
    """`shugang worker`: a worker with its clock on the broker, and the pulse of the journal."""
    queue = Queue(house)
    if queue.embedded:
        raise RuntimeError("a worker of its own needs SHUGANG_BROKER_URL")
    house.queue = queue.send
    house.pulse.start()
    queue.app.set_current()
    queue.app.set_default()
    queue.app.Worker(
        beat=True,
        pool="threads",
        concurrency=2,
        loglevel="WARNING",
        schedule_filename=str(house.settings.data_dir / "beat"),
    ).start()
    house.pulse.stop()
