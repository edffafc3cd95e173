"""The node's network: one thread that accepts, connects and copies bytes for every listener of the node.

A listener's socket may belong to the host or to a sandbox; so may the socket that a connection is made with.
That is all it takes to let the outside reach a program in its sandbox and the program reach the outside.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import TypeVar

Connect = Callable[[], Awaitable[socket.socket]]
"""Makes the connection behind an accepted one; OSError when it cannot."""

Result = TypeVar("Result")

_CHUNK = 65536
_BACKLOG = 128
_DATAGRAM = 4096
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time


class Network:
    """The thread. Start it, open listeners, stop it; stopping closes whatever is open."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="node network", daemon=True)
        # The loop keeps only weak references to tasks, and a connection outlives its listener.
        self._relays: set[asyncio.Task[None]] = set()
        self._listeners: set[OpenListener] = set()

    @property
    def connections(self) -> int:
        """How many connections are being forwarded."""
        return len(self._relays)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Close everything and end the thread. A second call does nothing."""
        if self._thread.is_alive():
            self._call(self._cancel_all()).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def listen(self, listener: socket.socket, connect: Connect) -> "OpenListener":
        """Accept on a bound TCP socket and connect each client on. Takes the socket over."""
        listener.settimeout(0)
        listener.listen(_BACKLOG)
        return self._open(listener, lambda: self._accept(listener, connect))

    def answer(self, server: socket.socket, reply: Callable[[bytes], bytes]) -> "OpenListener":
        """Answer datagrams on a bound UDP socket. Takes the socket over."""
        server.settimeout(0)
        return self._open(server, lambda: _answer(server, reply))

    def _open(self, opened: socket.socket, on_readable: Callable[[], None]) -> "OpenListener":
        listener = OpenListener(self._loop, opened, self._listeners.discard)
        self._listeners.add(listener)
        self._loop.call_soon_threadsafe(self._loop.add_reader, opened, on_readable)
        return listener

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, coroutine: Coroutine[None, None, Result]) -> "Future[Result]":
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _accept(self, listener: socket.socket, connect: Connect) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            # It went away again before we came to it.
            return
        relay = self._loop.create_task(_relay(client, connect))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)
        # Also when the task is cancelled before its first step.
        relay.add_done_callback(lambda _relay: client.close())

    async def _cancel_all(self) -> None:
        for listener in list(self._listeners):
            listener.close_now()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()
        # What the executor finished last has callbacks that run in the next round.
        await asyncio.sleep(0)


class OpenListener:
    """An open listener. Get one from `Network`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        opened: socket.socket,
        forget: "Callable[[OpenListener], None]",
    ) -> None:
        self._loop = loop
        self._socket = opened
        self._forget = forget

    def close_now(self) -> None:
        """Stop listening. For the loop's thread."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()
        self._forget(self)

    def close(self) -> None:
        """Stop listening; established connections go on. Returns when the address is free again."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    async def _close(self) -> None:
        self.close_now()


async def connect_to(unconnected: socket.socket, address: tuple[str, int]) -> socket.socket:
    """Connect a fresh socket, closing it when that fails.

    Raises:
        OSError: Nobody listens there.
    """
    unconnected.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(unconnected, address)
    except BaseException:
        unconnected.close()
        raise
    return unconnected


async def socket_from_thread(make: Callable[[], socket.socket]) -> socket.socket:
    """Make a socket in another thread, because that takes a while.

    Raises:
        OSError: It cannot be made.
    """
    making = asyncio.get_running_loop().run_in_executor(None, make)
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        # Nobody waits any more, but it will be made nevertheless.
        making.add_done_callback(_close_result)
        raise


def _close_result(made: "asyncio.Future[socket.socket]") -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().close()


def _answer(server: socket.socket, reply: Callable[[bytes], bytes]) -> None:
    try:
        query, client = server.recvfrom(_DATAGRAM)
        if found := reply(query):
            server.sendto(found, client)
    except OSError:
        # A resolver asks again.
        return


async def _relay(client: socket.socket, connect: Connect) -> None:
    with client:
        client.settimeout(0)
        try:
            backend = await connect()
        except OSError:
            # Nobody behind it: a reset is the nearest thing to a refused connection.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            return
        with backend:
            for each in (client, backend):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(_copy(client, backend), _copy(backend, client))


async def _copy(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(source, _CHUNK):
            await loop.sock_sendall(target, data)
    except OSError:
        # One end is gone: the other one has to notice, in both directions.
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        return
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
