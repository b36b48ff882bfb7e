// A server on node's `ws`; what each path does is said in `peers.rs`. CommonJS, because `import` ignores NODE_PATH.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { parseArgs } = require("node:util");
const { WebSocketServer } = require("ws");

const SUBPROTOCOL = "v2.feed";
const MAX_MESSAGE = 64 << 20;
// How much may wait in `ws`, which itself has no bound.
const MAX_BUFFERED = 1 << 20;

class Target {
    constructor(raw) {
        const url = new URL(raw, "http://server");
        this.path = url.pathname;
        this.query = url.searchParams;
    }

    number(name, fallback) {
        return Number(this.query.get(name) ?? fallback);
    }

    /** The status and the headers to refuse the upgrade with. */
    refusal() {
        if (this.path === "/refuse") {
            const retryAfter = this.query.get("retry_after");
            return [this.number("status", 503), retryAfter === null ? {} : { "Retry-After": retryAfter }];
        }
        if (this.path === "/redirect") {
            return [this.number("status", 302), { Location: this.query.get("to") ?? "/echo" }];
        }
        return this.path in CONVERSATIONS ? null : [404, {}];
    }
}

/** `{"n":0}`, padded to `size` bytes if that is more. */
function numbered(number, size = 0) {
    const padding = size - `{"n":${number},"pad":""}`.length;
    return padding > 0 ? `{"n":${number},"pad":"${"x".repeat(padding)}"}` : `{"n":${number}}`;
}

const written = (ws, text) => new Promise((resolve) => ws.send(text, resolve));

async function feed(ws, target) {
    const size = target.number("size", 0);
    const count = target.number("count", 100);
    for (let number = 0; number < count && ws.readyState === ws.OPEN; number += 1) {
        const sent = written(ws, numbered(number, size));
        if (ws.bufferedAmount > MAX_BUFFERED) await sent;
    }
}

function ping(ws) {
    let answered = 0;
    ws.on("pong", (payload) => {
        if (payload.toString() !== `ping ${answered}`) return;
        answered += 1;
        if (answered < 3) ws.ping(`ping ${answered}`);
        else ws.send("pong ok");
    });
    ws.ping("ping 0");
}

function subscriptions(ws, target) {
    ws.on("message", (data, isBinary) => {
        const [verb, channel] = isBinary ? [] : data.toString().split(" ", 2);
        if (verb !== "subscribe" || !channel) {
            ws.close(1008, "not a subscription");
            return;
        }
        ws.send(`subscribed ${channel}`);
        const count = target.number("count", 10);
        for (let number = 0; number < count; number += 1) ws.send(JSON.stringify({ n: number, channel }));
    });
}

async function drop(ws, _target, request) {
    await written(ws, numbered(0));
    // Node resets bare TCP only; below TLS it closes it, which is no less abrupt: no Close, no close_notify.
    if (request.socket.encrypted) ws.terminate();
    else request.socket.resetAndDestroy();
}

const echo = (ws) => ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));

const CONVERSATIONS = {
    "/echo": echo,
    "/feed": feed,
    "/close": async (ws, target) => {
        await written(ws, numbered(0));
        ws.close(target.number("code", 1000), target.query.get("reason") ?? "");
    },
    "/ping": ping,
    "/subscribe": subscriptions,
    "/drop": drop,
    "/subprotocol": (ws) => ws.send(JSON.stringify({ subprotocol: ws.protocol || null })),
    "/headers": (ws, _target, { headers }) => {
        const names = ["Authorization", "Origin", "X-Test", "Host"];
        const seen = names.map((name) => [name, headers[name.toLowerCase()] ?? null]);
        ws.send(JSON.stringify(Object.fromEntries(seen)));
    },
    "/deflate": (ws) => {
        ws.send(JSON.stringify({ deflate: ws.extensions !== "" }));
        echo(ws);
    },
};

function listener() {
    const option = { type: "string" };
    const { values } = parseArgs({ options: { certificate: option, key: option, clients: option } });
    if (values.certificate === undefined) return http.createServer();
    const tls = { cert: fs.readFileSync(values.certificate), key: fs.readFileSync(values.key) };
    if (values.clients === undefined) return https.createServer(tls);
    return https.createServer({ ...tls, ca: fs.readFileSync(values.clients), requestCert: true });
}

const server = listener();
const webSocketServer = new WebSocketServer({
    server,
    maxPayload: MAX_MESSAGE,
    perMessageDeflate: true,
    verifyClient: ({ req }, done) => {
        const refusal = new Target(req.url).refusal();
        if (refusal === null) done(true);
        else done(false, refusal[0], undefined, refusal[1]);
    },
    handleProtocols: (offered, request) =>
        new Target(request.url).path === "/subprotocol" && offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false,
});
webSocketServer.on("connection", (ws, request) => {
    ws.on("error", (error) => console.error(error.message));
    const target = new Target(request.url);
    CONVERSATIONS[target.path](ws, target, request);
});
server.on("tlsClientError", (error) => console.error(error.message));
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
