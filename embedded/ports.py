"""Which ports the parts listen on: the one that is set, else the one of the last start, else a free one."""

import errno
import os
import random
import socket
from collections.abc import Mapping

from embedded.errors import StartError

LOOPBACK = "127.0.0.1"

CHOOSE_FROM = range(20000, 30000)
"""Below the ports that systems give to outgoing connections: a client that calls a server which is just restarting could be
given the server's own port there, connect to itself, and keep the server from coming back."""


def choose_port(variable: str, remembered: int | None) -> int:
    """The port that the environment variable names, or else a free one, preferably the one remembered from the last start.

    Raises StartError when the variable is no port, or names one that is taken.
    """
    wanted = os.environ.get(variable)
    if wanted is not None:
        if not (wanted.isascii() and wanted.isdigit() and 0 < int(wanted) < 65536):
            raise StartError(f"{variable} is {wanted!r}, which is no port: give a number from 1 to 65535.")
        require_free(LOOPBACK, int(wanted), variable)
        return int(wanted)
    if remembered is not None and _refusal(LOOPBACK, remembered) is None:
        return remembered
    return next(
        port
        for port in random.sample(CHOOSE_FROM, len(CHOOSE_FROM))  # any order will do
        if _refusal(LOOPBACK, port) is None
    )


def choose_ports(variables: Mapping[str, str], remembered: Mapping[str, int]) -> dict[str, int]:
    """One port for each name, none twice. `variables` maps a name to the environment variable that may set its port.

    Raises StartError as `choose_port` does.
    """
    chosen: dict[str, int] = {}
    for name, variable in variables.items():
        port = choose_port(variable, remembered.get(name))
        while port in chosen.values() and variable not in os.environ:
            port = choose_port(variable, None)
        chosen[name] = port
    return chosen


def require_free(host: str, port: int, variable: str) -> None:
    """Raises StartError, naming the environment variable that chooses another port, when nothing can listen there."""
    refusal = _refusal(host, port)
    if refusal is None:
        return
    reason = {
        errno.EADDRINUSE: f"Port {port} is already used by another program",
        errno.EACCES: f"Port {port} is reserved to the administrator of this machine",
    }.get(refusal.errno or 0, f"Nothing can listen on {host} port {port} ({refusal.strerror})")
    raise StartError(f"{reason}: free it, or choose another one, for example {variable}={(port + 1) % 65536 or 8001}.")


def _refusal(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()  # with SO_REUSEADDR, two sockets may bind but not both listen
    except OSError as error:
        return error
    return None
