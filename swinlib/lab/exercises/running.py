"""How an answer is run: on copies, watched, stopped in time, and leaving everything as it was."""

import contextlib
import copy
import ctypes
import dis
import inspect
import io
import random
import signal
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CellType, CodeType, FrameType

import torch
from torch import Tensor

HERE = str(Path(__file__).parent)
PACKAGE = str(Path(__file__).parents[2])  # the folder of swinlib
# Code in these folders is nobody's answer.
FOLDERS = ("stdlib", "platstdlib", "purelib", "platlib")
LIBRARIES = (str(Path(torch.__file__).parent), *map(sysconfig.get_paths().get, FOLDERS))
SECONDS = 10.0  # of processor time that an answer may take for all its cases
WAITING = 60.0  # seconds by the clock, for an answer that sleeps, which takes no processor time
LOOK = 0.05  # seconds at least from one look at the clocks to the next
PRINTED = 2000  # characters that are kept of what an answer prints


@dataclass(frozen=True)
class Outcome:
    """What a function did with the arguments of a case.

    Attributes:
        result: what it returned.
        error: what it raised, or what stopped it.
        changed: name of the argument that it wrote to.
        given_back: name of the argument that came back as the result.
        setting: what it changed for everything that runs after it, in words.
        gradients: by name, of the arguments that require one: the gradient of the result, or None
            where none flows.
        printed: what it printed.
        left: what it left behind beside its result, as the arguments tell that have a method
            `left`: a tensor each.
    """

    result: object = None
    error: BaseException | None = None
    changed: str | None = None
    given_back: str | None = None
    setting: str | None = None
    gradients: dict[str, Tensor | None] = field(default_factory=dict)
    printed: str = ""
    left: tuple[Tensor, ...] = ()

    @property
    def stopped(self) -> bool:
        """Whether it did not come to an end by itself."""
        return isinstance(self.error, KeyboardInterrupt | OutOfTime)


class OutOfTime(BaseException):
    """Raised in an answer that computes too long; no `Exception`, which answers may catch."""


class WaitedTooLong(OutOfTime):
    """Raised in an answer that sleeps, or waits for what does not come."""


class TimeLimit:
    """Raises OutOfTime in what runs inside the `with`, once all of them together took too long.

    Processor time counts: by the clock a loaded machine would stop right answers. What sleeps takes
    none, so there is a wider limit by the clock as well.

    The exception is set from another thread, which works on every system and in every thread; an
    alarm signal is neither there on Windows nor outside of the main thread. It arrives between two
    instructions of Python, so a single long call into C ends first; one that waits is woken as by
    Ctrl+C, which the main thread alone can be.

    Args:
        computing, waiting: seconds of processor time, and by the clock.
    """

    def __init__(self, computing: float, waiting: float):
        self.clocks = {OutOfTime: time.process_time, WaitedTooLong: time.monotonic}
        limits = zip(self.clocks.items(), (computing, waiting), strict=True)
        self.ends = {error: clock() + seconds for (error, clock), seconds in limits}

    def __enter__(self):
        self.lock, self.over, self.fired = threading.Lock(), threading.Event(), None
        self.thread = threading.get_ident()
        threading.Thread(target=self._wait, daemon=True).start()
        return self

    def _left(self) -> dict[type[OutOfTime], float]:
        return {error: end - self.clocks[error]() for error, end in self.ends.items()}

    def _wait(self):
        pause = LOOK
        while not self.over.wait(max(pause, min(self._left().values()))):
            gone = [error for error, left in self._left().items() if left <= 0]
            with self.lock:
                if not gone or self.over.is_set():
                    continue
                self.fired = gone[0]
                if WaitedTooLong not in gone or not wake(self.thread):
                    raise_in(self.thread, OutOfTime)
            pause = 1.0  # once more for an answer with a bare `except` in its loop

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """The end; also of an exception that is already on its way, which arrives here."""
        with self.lock:
            self.over.set()
        if self.fired:  # taking it back is no way: Python 3.11 hangs after that, if it is profiled
            with contextlib.suppress(OutOfTime, KeyboardInterrupt):
                for _ in range(1000):
                    pass


def wake(thread: int) -> bool:
    """Interrupt what a thread waits for, by a KeyboardInterrupt; whether that can be done."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if thread != threading.main_thread().ident or not usual:
        return False
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, signal.SIGINT)
    else:  # Windows wakes a sleep from any thread
        signal.raise_signal(signal.SIGINT)
    return True


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Have an exception raised in another thread."""
    set_error = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_error(ctypes.c_ulong(thread), ctypes.py_object(error))


class Watch:
    """Notices whether swinlib is called, or what the exercise is to do without.

    Functions of earlier lessons may be called, those of `allowed`, and other exercises, whose names
    an unanswered notebook has bound to their solutions.

    Args:
        name: the exercise's; its own reference may not be asked.
        allowed: functions of swinlib.
        modules: names of swinlib's modules, all of whose functions are allowed.
        forbidden: names of functions of torch or of another library.
    """

    def __init__(self, name: str, allowed=(), modules=(), forbidden=()):
        self.name, self.forbidden = name, forbidden
        self.allowed = {inspect.unwrap(function).__code__ for function in allowed}
        self.files = {str(Path(PACKAGE, f"{module}.py")) for module in modules}
        self.called: str | None = None
        self.inside = 0  # how deep in an allowed function, which may call what it likes
        self.kinds: dict[CodeType, str] = {}

    def __enter__(self):
        self.before = sys.getprofile()
        sys.setprofile(self.see)
        return self

    def __exit__(self, *_):
        sys.setprofile(self.before)

    def see(self, frame: FrameType, event: str, function):
        if event == "c_call":
            name = self.forbidden and getattr(function, "__name__", None)
            if name in self.forbidden and not self.inside:
                self.called = self.called or f"`{name}`"
            return
        if event not in ("call", "return"):
            return
        code = frame.f_code
        kind = self.kinds.get(code) or self.kinds.setdefault(code, self._kind(code))
        if kind == "reference":  # of which exercise, the frame knows
            own = getattr(frame.f_locals.get("asked"), "name", None) == self.name
            kind = "nothing" if own else "allowed"
        if kind == "allowed":
            self.inside += 1 if event == "call" else -1
        elif kind in ("swinlib", "library") and not self.inside:
            name = name_in_swinlib(frame) if kind == "swinlib" else f"`{code.co_name}`"
            self.called = self.called or name

    def _kind(self, code: CodeType) -> str:
        file, name = code.co_filename, code.co_name
        if file.startswith(HERE) and name == "reference":
            return "reference"
        # An import runs a module's code, which is no call of the learner's.
        if code in self.allowed or file in self.files or name == "<module>":
            return "allowed"
        # What checks the arguments of swinlib's functions is around all of them.
        if file in (__file__, str(Path(PACKAGE, "_checks.py"))):
            return "nothing"
        if file.startswith(PACKAGE):
            return "swinlib"
        # A learner's own function may have any name.
        return "library" if name in self.forbidden and file.startswith(LIBRARIES) else "nothing"


def name_in_swinlib(frame: FrameType) -> str:
    """The function that runs in a frame, or for a method the class whose it is."""
    code = frame.f_code
    name = code.co_name
    if code.co_argcount and code.co_varnames[0] == "self":
        name = type(frame.f_locals["self"]).__name__
    return f"swinlib's `{name}`"


# --- one case -----------------------------------------------------------------------------------


def attempt(
    function: Callable, args: tuple, watch: Watch | None = None, limit: TimeLimit | None = None
) -> Outcome:
    """Call a function with copies of arguments, and put back what it changes for others."""
    given = [copied(arg) for arg in args]
    names = argument_names(function, len(args))
    # Asked before the call, which may change what requires a gradient.
    inputs = {name: arg for name, arg in zip(names, given, strict=True) if requires_gradient(arg)}
    printed, result, error, gradients = Printed(), None, None, {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        before = [setting.get() for setting in SETTINGS]
        try:
            with watch or contextlib.nullcontext(), limit or contextlib.nullcontext():
                result = function(*given)
            gradients = gradients_of(result, inputs)
        except BaseException as raised:  # whatever a learner's code may raise
            error = raised
            if limit and limit.fired:  # what it raised on the way, such as a KeyboardInterrupt
                error = limit.fired().with_traceback(raised.__traceback__)
        finally:
            if limit:
                limit.stop()  # once more, should the exception have come on the way out
        setting = put_back(before)
    trio = list(zip(names, given, args, strict=True))
    return Outcome(
        result=detached(result),
        error=error,
        changed=next((n for n, now, was in trio if not unchanged(now, was)), None),
        given_back=next((n for n, now, _ in trio if is_tensor(now) and now is result), None),
        setting=setting,
        gradients=gradients,
        printed=printed.getvalue(),
        left=tuple(arg.left() for arg in given if hasattr(arg, "left")),
    )


def argument_names(function: Callable, count: int) -> list[str]:
    """What a function calls its arguments, in order."""
    names = list(inspect.signature(function).parameters)
    return names if len(names) == count else [f"argument {n}" for n in range(1, count + 1)]


def is_tensor(value) -> bool:
    """Whether a value is a tensor whose numbers can be read here and now."""
    if not isinstance(value, Tensor) or value.is_nested or value.is_quantized:
        return False
    return value.layout is torch.strided and value.device.type == "cpu"


def copied(arg):
    """A copy; of a tensor with the same strides, so that one that lies scattered stays so."""
    if not is_tensor(arg):
        return copy.deepcopy(arg)
    new = torch.empty_strided(arg.shape, arg.stride(), dtype=arg.dtype)
    return new.copy_(arg.detach()).requires_grad_(arg.requires_grad)


def requires_gradient(arg) -> bool:
    return is_tensor(arg) and arg.requires_grad


def unchanged(now, before) -> bool:
    if isinstance(before, tuple | list):
        same_kind = isinstance(now, tuple | list) and len(now) == len(before)
        return same_kind and all(map(unchanged, now, before))
    if not is_tensor(before):
        return True
    if not is_tensor(now) or now.requires_grad != before.requires_grad:
        return False
    if now.shape != before.shape or now.dtype != before.dtype:
        return False
    return bool(((now == before) | (now.isnan() & before.isnan())).all())


def detached(result):
    """A result without its way back to what it was computed from."""
    if isinstance(result, tuple | list) and type(result) in (tuple, list):
        return type(result)(map(detached, result))
    return result.detach() if isinstance(result, Tensor) else result


def gradients_of(result, inputs: dict[str, Tensor]) -> dict[str, Tensor | None]:
    """Gradients of a result's weighted sum with respect to each input, by name."""
    parts = result if isinstance(result, tuple | list) else [result]
    parts = [part for part in parts if is_tensor(part) and part.requires_grad]
    if not inputs or not parts:
        return dict.fromkeys(inputs)
    # Weights, since the sum of a softmax does not depend on its input.
    weights = [torch.arange(1.0, 1 + part.numel()).sin().view_as(part) for part in parts]
    total = sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True))
    found = torch.autograd.grad(total, list(inputs.values()), allow_unused=True)
    return dict(zip(inputs, found, strict=True))


class Printed(io.StringIO):
    """Keeps the beginning of what is printed, which in an endless loop is much."""

    def write(self, text: str) -> int:
        super().write(text[: max(0, PRINTED - self.tell())])
        return len(text)


# --- what all code shares -----------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """Something that holds for all code that runs afterwards."""

    what: str
    get: Callable
    set: Callable


def _default_device() -> torch.device:
    # torch 2.6 cannot say it any more once it was set to None.
    return torch.empty(0).device


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


SETTINGS = (
    Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Setting("torch's default device", _default_device, _set_default_device),
    Setting("whether gradients are recorded", torch.is_grad_enabled, torch.set_grad_enabled),
    Setting("the number of threads", torch.get_num_threads, torch.set_num_threads),
    Setting(
        "whether algorithms are deterministic",
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
)


def put_back(before: list) -> str | None:
    """Settings as they were; the one that was not, in words."""
    changed = None
    for setting, value in zip(SETTINGS, before, strict=True):
        if setting.get() != value:
            setting.set(value)
            changed = changed or setting.what
    return changed


@contextlib.contextmanager
def same_random_numbers() -> Iterator[None]:
    """Random numbers drawn or seeded inside change none that are drawn afterwards."""
    numpy = getattr(sys.modules.get("numpy"), "random", None)
    states = random.getstate(), numpy and numpy.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(states[0])
            if numpy:
                numpy.set_state(states[1])


@contextlib.contextmanager
def called_by_name(answer: Callable) -> Iterator[None]:
    """Inside, the answer's name means the answer in its own code, which may call itself."""
    function = inspect.unwrap(answer)
    name = function.__name__
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cell = dict(zip(names, getattr(function, "__closure__", None) or (), strict=True)).get(name)
    shared = getattr(function, "__globals__", {})
    before = {key: shared[key] for key in [name] if key in shared}
    inner = [cell.cell_contents] if cell and cell != CellType() else []
    shared[name] = answer
    if cell:
        cell.cell_contents = answer
    try:
        yield
    finally:
        del shared[name]
        shared.update(before)
        if cell:
            del cell.cell_contents
        for content in inner:
            cell.cell_contents = content


# --- what went wrong ----------------------------------------------------------------------------


def own_line(error: BaseException) -> str:
    """The line of the learner's that an error comes from; empty where there is none."""
    steps = [
        step.line
        for step in traceback.extract_tb(error.__traceback__)
        if not step.filename.startswith((PACKAGE, *LIBRARIES)) and step.line
    ]
    return steps[-1] if steps else ""


def is_raised_by_hand(error: BaseException) -> bool:
    """Whether a `raise` in the learner's own code raised it."""
    step = error.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    code = step.tb_frame.f_code
    return (
        not code.co_filename.startswith((PACKAGE, *LIBRARIES))
        and code.co_code[step.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    )
