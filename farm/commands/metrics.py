"""`tinyrack metrics`: the rack for Prometheus, over HTTP or once on standard output."""

import socket
import sys
import threading
from argparse import Namespace

from prometheus_client import generate_latest, start_http_server

from farm.errors import InventoryError
from farm.metrics import registry_of
from farm.output import note
from farm.rack.inventory import load_rack, select


def run(args: Namespace) -> int:
    """Serve until interrupted; with --once, print and end."""
    rack = load_rack(args.boards_file)
    boards = select(rack, args.boards) if args.boards else rack.boards
    registry = registry_of(rack, boards, args.store)
    if args.once:
        sys.stdout.write(generate_latest(registry).decode())
        return 0
    try:
        server, thread = start_http_server(args.port, args.address, registry)
    except OSError as error:
        other = "--address" if isinstance(error, socket.gaierror) else "--port"
        raise InventoryError(
            f"{args.address}:{args.port} cannot be served ({error.strerror}); take another {other}"
        ) from error
    note(f"metrics at http://{args.address}:{server.server_port}/metrics; Ctrl-C ends")
    try:
        threading.Event().wait()  # for ever: that is the command
    finally:
        server.shutdown()
        thread.join(1.0)
    return 0
