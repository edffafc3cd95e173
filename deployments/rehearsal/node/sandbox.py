"""Runs one container's program in namespaces of its own. A script of its own: only the standard library.

`python sandbox.py` reads a JSON specification from standard input, makes the namespaces, starts the program
when it is told to, and ends with the program's exit code. All the while it hands out sockets that belong to
the program's network: for every `t` (TCP) or `u` (UDP) that comes in on the control socket one new socket
goes back; `g` starts the program. When the control socket is closed from the other side, because the node
stopped or died, the program is killed.

Specification: root (an empty folder), binds (source, target, writable), links (target to source), folders,
arguments, environment, address (the pod's IP) and control (the number of the inherited control socket).
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

# include/uapi/linux: sched.h, mount.h, prctl.h, sockios.h, if.h
_NEW_USER, _NEW_MOUNTS, _NEW_NETWORK = 0x10000000, 0x00020000, 0x40000000
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
_KEPT_FLAGS = 0x2 | 0x4 | 0x8 | 0x400 | 0x800  # nosuid, nodev, noexec, noatime, nodiratime
_PARENT_DEATH_SIGNAL = 1
_SET_ADDRESS, _SET_FLAGS = 0x8916, 0x8914
_UP_AND_RUNNING = 0x41

_SETUP_FAILED = 125
_CANNOT_EXECUTE = 126
_SYSTEM_FOLDERS = ("usr", "lib", "lib32", "lib64", "sbin")
_PRIVATE_FOLDERS = ("bin", "etc", "proc", "dev", "tmp", "run", "var/run", "var/tmp")
_GO = b"g"
_SOCKET_TYPES = {b"t": socket.SOCK_STREAM, b"u": socket.SOCK_DGRAM}

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Set up, start, wait. Returns the program's exit code, 128 + signal, or 125 when the set-up failed."""
    specification = json.load(sys.stdin)
    control = socket.socket(fileno=specification["control"])
    root = Path(specification["root"])
    try:
        _enter_namespaces()
        _die_with_parent()
        _bring_up_network(specification["address"])
        _build_root(root, specification)
    except OSError as error:
        sys.stderr.write(f"could not set up the sandbox: {error}\n")
        return _SETUP_FAILED
    if not _hand_out_sockets(control):
        return _SETUP_FAILED
    program = os.fork()
    if program == 0:
        _become(root, specification)
    threading.Thread(target=_kill_with_control, args=(control, program), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda _number, _frame: os.kill(program, signal.SIGTERM))
    _, status = os.waitpid(program, 0)
    _kill_group(program)
    exit_code = os.waitstatus_to_exitcode(status)
    return exit_code if exit_code >= 0 else 128 - exit_code


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _enter_namespaces() -> None:
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_NEW_USER | _NEW_MOUNTS | _NEW_NETWORK) == 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")
        return
    # Some machines refuse user namespaces; root needs none.
    if user != 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSPC, errno.EINVAL):
        _check(-1, "unshare user, mount and network namespaces")
    _check(_libc.unshare(_NEW_MOUNTS | _NEW_NETWORK), "unshare mount and network namespaces")


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


def _die_with_parent() -> None:
    # After unshare, which clears it.
    _check(_libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl")


def _bring_up_network(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up = struct.pack("16sh14x", b"lo", _UP_AND_RUNNING)
        fcntl.ioctl(any_socket, _SET_FLAGS, up)
        # A second address of the loopback device: the pod's IP, for programs that bind it.
        named = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(address))
        fcntl.ioctl(any_socket, _SET_ADDRESS, named)


def _mount(source: str, target: Path, kind: str, flags: int) -> None:
    result = _libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, None)
    _check(result, f"mount {source} on {target}")


def _build_root(root: Path, specification: dict[str, Any]) -> None:
    _mount("none", Path("/"), "", _RECURSIVE | _PRIVATE)
    _mount("sandbox", root, "tmpfs", 0)
    for name in _PRIVATE_FOLDERS:
        (root / name).mkdir(parents=True)
    for name in _SYSTEM_FOLDERS:
        _take_over(Path("/") / name, root / name)
    for name in ("proc", "dev"):
        _mount(f"/{name}", root / name, "", _BIND | _RECURSIVE)
    for folder in specification["folders"]:
        _inside(root, folder).mkdir(parents=True, exist_ok=True)
    for target, source in specification["links"].items():
        _inside(root, target).symlink_to(source)
    for bind in specification["binds"]:
        _bind(bind["source"], _inside(root, bind["target"]), writable=bind["writable"])


def _take_over(host: Path, target: Path) -> None:
    if host.is_symlink():
        target.symlink_to(host.readlink())
    elif host.is_dir():
        _bind(str(host), target, writable=False)


def _inside(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _bind(source: str, target: Path, *, writable: bool) -> None:
    if Path(source).is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(source, target, "", _BIND | _RECURSIVE)
    if not writable:
        # A remount must repeat the flags that it may not change.
        kept = os.statvfs(target).f_flag & _KEPT_FLAGS
        _mount("none", target, "", _REMOUNT | _BIND | _READ_ONLY | kept)


def _become(root: Path, specification: dict[str, Any]) -> None:
    """In the child: turn into the program; never returns."""
    program = specification["arguments"][0]
    try:
        _die_with_parent()
        os.setpgid(0, 0)
        os.chroot(root)
        os.chdir(specification["folder"])
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.execvpe(program, specification["arguments"], specification["environment"])  # noqa: S606 - no shell
    except OSError as error:
        sys.stderr.write(f'exec "{program}": {error.strerror}\n')
        sys.stderr.flush()
    finally:
        os._exit(_CANNOT_EXECUTE)


def _hand_out_sockets(control: socket.socket) -> bool:
    """Hand out sockets until the program is to start (true) or the other side has gone (false)."""
    while wanted := control.recv(1):
        if wanted == _GO:
            return True
        with socket.socket(socket.AF_INET, _SOCKET_TYPES[wanted]) as fresh:
            socket.send_fds(control, [wanted], [fresh.fileno()])
    return False


def _kill_with_control(control: socket.socket, program: int) -> None:
    while _hand_out_sockets(control):
        pass
    _kill_group(program)


def _kill_group(program: int) -> None:
    """Kill the program and whatever it started; a shell's children would outlive the shell."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
