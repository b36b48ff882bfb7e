"""A server on `aiohttp`; what each path does is said in `peers.rs`."""

import asyncio
import json
from typing import AsyncIterator

from aiohttp import WSMsgType, web

import common


async def messages(ws: web.WebSocketResponse) -> AsyncIterator[str | bytes]:
    async for message in ws:
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            yield message.data


async def send(ws: web.WebSocketResponse, message: str | bytes) -> None:
    await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))


async def echo(ws: web.WebSocketResponse) -> None:
    async for message in messages(ws):
        await send(ws, message)


async def until_closed(ws: web.WebSocketResponse) -> None:
    async for _ in messages(ws):
        pass


async def send_feed(ws: web.WebSocketResponse, target: common.Target) -> None:
    async for text in common.feed(target):
        await ws.send_str(text)


async def ping(ws: web.WebSocketResponse) -> None:
    """Sends three pings, one after the other's answer; here the library leaves pings and pongs to us."""
    answered = 0
    await ws.ping(b"ping 0")
    async for message in ws:
        if message.type == WSMsgType.PING:
            await ws.pong(message.data)
        elif message.type == WSMsgType.PONG and message.data == f"ping {answered}".encode():
            answered += 1
            if answered < 3:
                await ws.ping(f"ping {answered}".encode())
            else:
                await ws.send_str("pong ok")


async def subscriptions(ws: web.WebSocketResponse, target: common.Target) -> None:
    async for message in messages(ws):
        channel = common.channel_of(message)
        if channel is None:
            await ws.close(code=1008, message=b"not a subscription")
            return
        for text in common.subscription(target, channel):
            await ws.send_str(text)


async def converse(request: web.Request, ws: web.WebSocketResponse, target: common.Target) -> None:
    match target.path:
        case "/echo":
            await echo(ws)
        case "/feed":
            # Only reading answers pings and a Close.
            sender = asyncio.create_task(send_feed(ws, target))
            await until_closed(ws)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        case "/close":
            await ws.send_str(common.numbered(0))
            await ws.close(code=target.number("code", 1000), message=(target.text("reason") or "").encode())
        case "/ping":
            await ping(ws)
        case "/subscribe":
            await subscriptions(ws, target)
        case "/drop":
            await ws.send_str(common.numbered(0))
            common.abort(request.transport)
        case "/subprotocol":
            await ws.send_str(json.dumps({"subprotocol": ws.ws_protocol}))
            await until_closed(ws)
        case "/headers":
            await ws.send_str(common.headers_seen(request.headers))
            await until_closed(ws)
        case "/deflate":
            await ws.send_str(json.dumps({"deflate": bool(ws.compress)}))
            await echo(ws)


async def handler(request: web.Request) -> web.StreamResponse:
    target = common.Target(request.raw_path)
    refusal = target.refusal()
    if refusal is not None:
        status, headers = refusal
        return web.Response(status=status, headers=headers, text="refused\n")
    ws = web.WebSocketResponse(
        protocols=[common.SUBPROTOCOL] if target.path == "/subprotocol" else [],
        autoping=target.path != "/ping",
        compress=True,
        max_msg_size=common.MAX_MESSAGE,
    )
    await ws.prepare(request)
    try:
        await converse(request, ws, target)
    except ConnectionError:
        pass
    return ws


async def main() -> None:
    application = web.Application()
    application.router.add_get("/{anything:.*}", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=common.tls_from_arguments()).start()
    common.announce(runner.addresses[0][1])
    await asyncio.Event().wait()


asyncio.run(main())
