"""A list-and-watch of one collection that goes on until it is stopped."""

import threading
from collections.abc import Callable
from contextlib import closing

import urllib3
from typing_extensions import override

from deployments.rehearsal.node.api import (
    NodeApi,
    WatchEvent,
    WatchEventType,
    WatchExpiredError,
    read_watch,
)
from tasks.core.errors import ClusterError
from tasks.core.manifests import Manifest

OnEvent = Callable[[WatchEvent], None]

_PAUSE_SECONDS = 0.5


class Watcher(threading.Thread):
    """Tells a callback about every object of a collection and every change of it, in order, from one thread.

    After a break it lists again: what is there comes as MODIFIED or ADDED, what has gone meanwhile as
    DELETED.

    Args:
        api: The API server.
        path: The collection, such as `/api/v1/pods`.
        on_event: Called from this thread; it must not block for long.
    """

    def __init__(self, api: NodeApi, path: str, on_event: OnEvent) -> None:
        super().__init__(name=f"watch {path}", daemon=True)
        self._api = api
        self._path = path
        self._on_event = on_event
        self._known: dict[str, Manifest] = {}
        self._stopping = threading.Event()
        self._listed = threading.Event()
        self._lock = threading.Lock()
        self._response: urllib3.BaseHTTPResponse | None = None

    @override
    def run(self) -> None:
        """List and watch until `stop`."""
        while not self._stopping.is_set():
            try:
                self._watch_from(self._list())
            except WatchExpiredError:
                continue
            except ClusterError:
                # The API server restarts or is overloaded; there is nobody to tell, so try again.
                pass
            self._stopping.wait(_PAUSE_SECONDS)

    def wait_until_listed(self) -> None:
        """Return once the first list has been delivered, or the watcher was stopped."""
        self._listed.wait()

    def stop(self) -> None:
        """End the thread, even while it waits for an event."""
        with self._lock:
            self._stopping.set()
            if self._response is not None:
                self._response.shutdown()
        self._listed.set()
        if self.is_alive():
            self.join()

    def _list(self) -> str:
        items, resource_version = self._api.list_page(self._path)
        present = {item["metadata"]["uid"] for item in items}
        for uid in [uid for uid in self._known if uid not in present]:
            self._deliver(WatchEvent(WatchEventType.DELETED, self._known[uid]))
        for item in items:
            known = item["metadata"]["uid"] in self._known
            self._deliver(WatchEvent(WatchEventType.MODIFIED if known else WatchEventType.ADDED, item))
        self._listed.set()
        return resource_version

    def _watch_from(self, resource_version: str) -> None:
        with closing(self._api.open_watch(self._path, resource_version)) as response:
            with self._lock:
                self._response = response
                if self._stopping.is_set():
                    return
            try:
                for event in read_watch(response):
                    self._deliver(event)
            finally:
                with self._lock:
                    self._response = None

    def _deliver(self, event: WatchEvent) -> None:
        if self._stopping.is_set():
            return
        uid = event.manifest["metadata"]["uid"]
        if event.type is WatchEventType.DELETED:
            self._known.pop(uid, None)
        else:
            self._known[uid] = event.manifest
        self._on_event(event)
