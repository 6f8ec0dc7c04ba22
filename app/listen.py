"""The listening socket: bound by us, so that every refusal is a sentence."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import AppError, PortTaken, RemoteRefused


@contextmanager
def bind(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; PortTaken or RemoteRefused where the address can't be had."""
    try:
        family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family)
    except OSError as error:
        raise RemoteRefused(f"{host!r} is no address of this machine ({error.strerror}).") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise _bind_error(host, port, error) from error
        yield listener


def _bind_error(host: str, port: int, error: OSError) -> AppError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(f"Port {port} is taken; choose another with --port, or 0 for a free one.")
    if error.errno == errno.EACCES:
        return PortTaken(f"Port {port} needs root's rights; choose one above 1023 with --port.")
    return RemoteRefused(f"Can't listen on {host!r} ({error.strerror}); try --host 127.0.0.1.")
