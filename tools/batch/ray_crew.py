"""Workers as actors of Ray, which places them, gives each its GPU, and starts those again that died."""

import os
import time
from pathlib import Path
from typing import Any

from .manifest import Row
from .runner import Lost
from .worker import Made, ServerDied, Worker

HERE = "local"
START_TRIES = 3
OBJECTS_BYTES = 128 << 20  # of shared memory: only numbers and sentences travel
QUIET = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}


class NoRay(RuntimeError):
    """Ray is not installed, or did not start; the message says what to do."""


class TooFew(ValueError):
    """More workers were asked for than there is room for."""


def ray_module() -> Any:
    """The package ray; NoRay where it is not installed."""
    try:
        import ray  # pyright: ignore[reportMissingImports] (optional)
    except ImportError as error:
        raise NoRay(
            f"a batch runs on Ray, which cannot be imported ({error}). Install it with: python3 run.py batch --install"
        ) from None
    return ray


class WorkerActor:
    """A worker in a process of its own. When its ComfyUI dies it dies too, and Ray starts both again."""

    def __init__(self, number: int, comfyui: str):
        self.worker = Worker(str(number), Path(comfyui)).__enter__()

    def make(self, row: Row, out: Path) -> Made:
        """See Worker.make."""
        try:
            return self.worker.make(row, out)
        except ServerDied:
            self.worker.server.stop()
            os._exit(1)

    def ready(self) -> None:
        """Answers once the server is up."""

    def stop(self) -> None:
        """End the server and remove its folder."""
        self.worker.server.stop()


class RayCrew:
    """See Crew; use it as a context manager.

    workers: 0 for as many as there are GPUs, one without. gpus: of each worker, None for 1 where there are GPUs.
    address: of a cluster, None for this machine alone. TooFew if there are not so many GPUs.
    """

    def __init__(self, workers: int, gpus: float | None, address: str | None, out: Path):
        self.ray, self.out = ray_module(), out
        self._start(address)
        have = self.ray.cluster_resources()
        self.gpus = float(bool(have.get("GPU"))) if gpus is None else gpus
        count = workers or max(1, int(have.get("GPU", 0) / self.gpus) if self.gpus else 1)
        if count * self.gpus > have.get("GPU", 0):
            self.ray.shutdown()
            raise TooFew(
                f"{count} workers with {self.gpus:g} GPUs each were asked for, and there are {have.get('GPU', 0):g}. "
                "Ask for fewer --workers, or a part of a GPU each with --gpus-per-worker 0.5."
            )
        cores = have.get("CPU", 1) / count
        actor = self.ray.remote(WorkerActor).options(
            num_cpus=int(cores) or cores, num_gpus=self.gpus, max_restarts=-1, max_task_retries=0,
            scheduling_strategy="SPREAD",
        )  # fmt: skip
        self.actors = {
            number: actor.remote(number, os.environ["COMFYUI_PATH"]) for number in range(1, count + 1)
        }
        self.tasks: dict[Any, tuple[int, Row]] = {}
        self.starting: dict[Any, int] = {}  # workers that died and come back, by the task that waits for them

    def _start(self, address: str | None) -> None:
        """Start Ray, or join a cluster; NoRay if it did not. It waits 30 s for itself, too little on a busy machine."""
        options = cluster_options() if address else machine_options()
        for left in reversed(range(START_TRIES)):
            try:
                self.ray.init(address=address or HERE, **options)
                return
            except Exception as error:  # it has no kind of its own for that
                self.ray.shutdown()
                if not left:
                    raise NoRay(
                        f"Ray did not start ({last_line(error)}). Call it again; what is done is kept."
                    ) from None

    def __enter__(self) -> "RayCrew":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        idle = [actor.stop.remote() for actor in self.actors.values()] if not self.tasks and not kind else []
        if idle:
            self.ray.wait(idle, num_returns=len(idle), timeout=30)
        for actor in self.actors.values():
            self.ray.kill(actor)  # its server sees it, ends and removes its folder
        self.ray.shutdown()

    def ready(self) -> list[int]:
        """See Crew."""
        return [number for number in self.actors if number not in self.starting.values()]

    def hopeless(self) -> bool:
        """See Crew."""
        return not self.actors

    def begin(self, worker: int, row: Row) -> None:
        """See Crew."""
        self.tasks[self.actors[worker].make.remote(row, self.out)] = (worker, row)

    def finished(self, seconds: float) -> list[tuple[int, Row, Made | Lost]]:
        """See Crew."""
        awaited = [*self.tasks, *self.starting]
        if not awaited:
            time.sleep(seconds)
            return []
        found, _ = self.ray.wait(awaited, num_returns=1, timeout=seconds)
        for task in found:
            if task in self.starting:
                self._is_back(task)
        return [(*self.tasks[task], self._outcome(task)) for task in found if task in self.tasks]

    def _outcome(self, task: Any) -> Made | Lost:
        worker, _ = self.tasks.pop(task)
        errors = self.ray.exceptions
        try:
            return self.ray.get(task)
        except errors.ActorDiedError as error:  # for good: it could not even be made
            del self.actors[worker]
            return Lost(last_line(error), back=False)
        except errors.RayActorError as error:
            again = self.actors[worker].ready.options(max_task_retries=-1).remote()
            self.starting[again] = worker
            return Lost(last_line(error), back=True)

    def _is_back(self, task: Any) -> None:
        """A worker that died can be given rows again, or is gone for good."""
        worker = self.starting.pop(task)
        try:
            self.ray.get(task)
        except self.ray.exceptions.RayActorError:
            del self.actors[worker]


def machine_options() -> dict[str, Any]:
    """How Ray is started on this machine alone: no page, little shared memory."""
    return {"include_dashboard": False, "object_store_memory": OBJECTS_BYTES, **QUIET}


def cluster_options() -> dict[str, Any]:
    """How a cluster's processes find this pack and ComfyUI: in the same folders as here."""
    given = {name: os.environ[name] for name in ("PYTHONPATH", "COMFYUI_PATH")}
    return {"runtime_env": {"env_vars": given}, **QUIET}


def last_line(error: Exception) -> str:
    """What Ray says last, which is why."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
