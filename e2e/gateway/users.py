"""`python -m e2e.gateway.users`: the load generator as a process; `PUT /load` with the fields of `Workload` sets it."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from e2e.fleet.http import HttpRequest, HttpResponse, HttpServer
from e2e.fleet.load import Workload
from e2e.gateway.client import Users
from e2e.gateway.records import writer


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.gateway.users", description=__doc__)
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--gateway", required=True, metavar="HOST:PORT")
    parser.add_argument("--path", required=True, help="of the service at the gateway")
    parser.add_argument("--record", type=Path, required=True, help="where each request is written down when it is over")
    given = parser.parse_args(argv)
    host, _, port = given.gateway.rpartition(":")
    with suppress(asyncio.CancelledError), writer(given.record) as write:
        asyncio.run(_load(Users(host, int(port), given.path, write), control_port=given.control_port))
    return 0


async def _load(users: Users, *, control_port: int) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if task is not None:
            loop.add_signal_handler(number, task.cancel)

    def answer(request: HttpRequest) -> HttpResponse:
        if (request.method, *request.path) == ("PUT", "load"):
            try:
                users.set_load(Workload(**json.loads(request.body)))
            except (TypeError, ValueError) as error:
                return HttpResponse.text(f"{error}\n", HTTPStatus.BAD_REQUEST)
        return HttpResponse.json({"under_way": users.under_way})

    server = HttpServer(answer)
    await server.start(control_port)
    try:
        await users.run()
    finally:
        await users.close()
        await server.stop()


if __name__ == "__main__":
    sys.exit(main())
