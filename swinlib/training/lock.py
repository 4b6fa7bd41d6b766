"""One run at a time in one place: a lock that the operating system holds for a living process.

When its process ends, however it ends, the lock is gone; so a crash never shuts a folder for good.
The lock file says who holds it.
"""

import errno
import os
import platform
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

BUSY = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}


class InUseError(RuntimeError):
    """Another process, or another run of this one, is writing there; the message names it."""


_held = set()  # open files that carry a lock


def _forget_in_child():
    """A forked process, such as one that reads pictures, would hold its parent's locks too, and go
    on holding them for a while when the parent is killed."""
    for file in _held:
        file.close()
    _held.clear()


if os.name == "posix":
    import fcntl

    os.register_at_fork(after_in_child=_forget_in_child)

    def _acquire(file):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
else:  # Windows
    import msvcrt

    def _acquire(file):
        # What is locked cannot be read by others: so a byte far behind the words.
        os.lseek(file.fileno(), 2**30, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)


@contextmanager
def locked(path):
    """Holds the lock on a path, which need not exist: the file of that name and ``.lock``, or the
    file ``.lock`` in a folder.

    Raises InUseError, with the holder's process number and start, where it is held already. Where a
    file system has no locks, warns and goes on.
    """
    path = Path(path)
    lock = path / ".lock" if path.is_dir() else path.with_name(path.name + ".lock")
    file = _open(lock, path)
    _held.add(file)
    try:
        yield
    finally:
        _held.discard(file)
        if os.name == "posix":  # while it is held: see _open
            lock.unlink(missing_ok=True)
        file.close()
        if os.name != "posix":  # what is open cannot be removed there
            with suppress(OSError):
                lock.unlink(missing_ok=True)


def _open(lock, path):
    while True:
        file = open(lock, "a+", encoding="utf-8")  # noqa: SIM115  it stays open
        try:
            _acquire(file)
        except OSError as error:
            if error.errno in BUSY:
                file.seek(0)
                holder = file.read().strip() or "another process"
                file.close()
                raise InUseError(
                    f"{path} is in use by {holder}. Wait until it ends, or choose another place."
                ) from None
            warnings.warn(
                f"{path} cannot be locked ({error.strerror}): make sure that no second run writes "
                "there",
                stacklevel=4,
            )
        # Whoever held it may have removed the file between our opening and our locking it.
        if os.name != "posix" or _same_file(lock, file):
            break
        file.close()
    file.truncate(0)
    began = time.strftime("%Y-%m-%d %H:%M:%S")
    file.write(f"process {os.getpid()} on {platform.node()}, since {began}\n")
    file.flush()
    return file


def _same_file(path, file):
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
