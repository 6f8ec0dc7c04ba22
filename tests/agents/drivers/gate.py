"""A gate on loopback that plays a vendor's host: for programs whose meter's address is fixed.

A proxy that a test names in HTTPS_PROXY; whatever host is asked for, the rehearsal server answers
it. Its certificate is made for one run and trusted by nobody but the process of that test.
"""

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

HOST = "api.anthropic.com"
_CHUNK = 65_536


class Gate:
    """Serves from a thread for as long as the `with` block lasts."""

    def __init__(self, folder: Path, rehearsal_port: int) -> None:
        self.certificate = _certificate(folder)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate, folder / "key.pem")
        self._behind = rehearsal_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.asked: list[str] = []  # request lines that came through
        self._open: list[socket.socket] = []

    def env(self) -> dict[str, str]:
        """What a program needs to go through here, and nowhere else."""
        url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        return {"HTTPS_PROXY": url, "HTTP_PROXY": url, "NODE_EXTRA_CA_CERTS": str(self.certificate)}

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="gate", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in [self._listening, *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(_CHUNK)
            if not head.startswith(b"CONNECT"):
                client.close()
                return
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with self._tls.wrap_socket(client, server_side=True) as plain:
                self._open.append(plain)
                with socket.create_connection(("127.0.0.1", self._behind), timeout=10) as behind:
                    self._open.append(behind)
                    threading.Thread(target=_pump, args=(behind, plain), daemon=True).start()
                    self._listen(plain, behind)

    def _listen(self, plain: socket.socket, behind: socket.socket) -> None:
        while said := plain.recv(_CHUNK):
            self.asked.append(said.split(b"\r\n")[0].decode(errors="replace"))
            behind.sendall(said)


def _pump(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while said := source.recv(_CHUNK):
            to.sendall(said)


def _certificate(folder: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    path = folder / "gate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return path
