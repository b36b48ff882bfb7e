"""A server on Python `websockets`; what each path does is said in `peers.rs`."""

import asyncio
import json

import websockets
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

import common


def refuse(ws: ServerConnection, request: Request) -> Response | None:
    refusal = common.Target(request.path).refusal()
    if refusal is None:
        return None
    status, headers = refusal
    response = ws.respond(status, "refused\n")
    response.headers.update(headers)
    return response


def choose_subprotocol(ws: ServerConnection, offered: list[str]) -> str | None:
    wanted = common.Target(ws.request.path).path == "/subprotocol" and common.SUBPROTOCOL in offered
    return common.SUBPROTOCOL if wanted else None


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def until_closed(ws: ServerConnection) -> None:
    async for _ in ws:
        pass


async def converse(ws: ServerConnection) -> None:
    target = common.Target(ws.request.path)
    match target.path:
        case "/echo":
            await echo(ws)
        case "/feed":
            async for text in common.feed(target):
                await ws.send(text)
            await until_closed(ws)
        case "/close":
            await ws.send(common.numbered(0))
            await ws.close(target.number("code", 1000), target.text("reason") or "")
        case "/ping":
            for number in range(3):
                await (await ws.ping(f"ping {number}"))
            await ws.send("pong ok")
            await until_closed(ws)
        case "/subscribe":
            async for message in ws:
                channel = common.channel_of(message)
                if channel is None:
                    await ws.close(1008, "not a subscription")
                    return
                for text in common.subscription(target, channel):
                    await ws.send(text)
        case "/drop":
            await ws.send(common.numbered(0))
            common.abort(ws.transport)
        case "/subprotocol":
            await ws.send(json.dumps({"subprotocol": ws.subprotocol}))
            await until_closed(ws)
        case "/headers":
            await ws.send(common.headers_seen(ws.request.headers))
            await until_closed(ws)
        case "/deflate":
            await ws.send(json.dumps({"deflate": bool(ws.protocol.extensions)}))
            await echo(ws)


async def handler(ws: ServerConnection) -> None:
    try:
        await converse(ws)
    except websockets.ConnectionClosed:
        pass


async def main() -> None:
    async with serve(
        handler, "127.0.0.1", 0, ssl=common.tls_from_arguments(), process_request=refuse,
        select_subprotocol=choose_subprotocol, compression="deflate", ping_interval=None, max_size=common.MAX_MESSAGE,
    ) as server:  # fmt: skip
        common.announce(server.sockets[0].getsockname()[1])
        await server.serve_forever()


asyncio.run(main())
