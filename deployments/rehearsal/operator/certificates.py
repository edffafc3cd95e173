"""The serving certificate, reloaded when its files change (as controller-runtime's certwatcher does)."""

import ssl
import sys
import threading
from pathlib import Path


class CertificateError(Exception):
    """There is no usable pair of certificate and key to start with; the text names the folder."""


class ReloadingCertificate:
    """Hands out TLS contexts with the newest usable pair of `tls.crt` and `tls.key` in a folder.

    A pair that cannot be loaded (half written, key of another certificate) is reported on standard error and
    the previous one stays in use. Connections that exist keep what they were opened with.

    Args:
        folder: Holds `tls.crt` and `tls.key`, as a Secret of type kubernetes.io/tls is mounted.

    Raises:
        CertificateError: The first pair cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        self._files = (folder / "tls.crt", folder / "tls.key")
        self._lock = threading.Lock()
        self._seen = self._signature()
        try:
            self._context = self._load()
        except (OSError, ValueError) as error:
            raise CertificateError(f"no usable tls.crt and tls.key in {folder}: {_reason(error)}") from None

    def context(self) -> ssl.SSLContext:
        """The context for a new connection."""
        with self._lock:
            signature = self._signature()
            if signature != self._seen:
                self._seen = signature
                self._reload()
            return self._context

    def _reload(self) -> None:
        try:
            self._context = self._load()
        except (OSError, ValueError) as error:
            sys.stderr.write(f"kept the old certificate, the new one cannot be loaded: {_reason(error)}\n")
        else:
            sys.stderr.write("updated the current TLS certificate\n")

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._files)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_identity(file) for file in self._files)


def _identity(file: Path) -> tuple[int, int, int] | None:
    # Through symbolic links, because a mounted Secret changes by swapping one.
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
