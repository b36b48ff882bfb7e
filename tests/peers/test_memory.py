"""Memory of a long run: it grows with the longest backlog so far, and ends where the queue and the buffer pools do."""

from harness import settled

MIB = 1024 * 1024
SIZES = [64, 300, 1_000, 2_000, 5_000, 20_000, 100_000, 400_000]
WARM, ROUNDS = 15, 30


def test_backlogs_take_what_the_first_few_took(peers, tail, figure):
    sent = 0

    async def handler(ws, number, record):
        nonlocal sent
        while True:
            await ws.send("x" * SIZES[sent % len(SIZES)])
            sent += 1

    running = tail(peers.websockets(handler), read=False)
    found, taken = [], 0
    for _ in range(ROUNDS):
        # Nobody reads: in the end the server has to wait, and the command holds all that it may.
        backlog = settled(lambda: sent, still_for=0.2)
        found.append(running.memory()[0] / MIB)
        for _ in range(taken, backlog):
            running.process.stdout.readline()
        taken = backlog
    figure(", ".join(f"{each:.1f}" for each in found[:: WARM // 3]) + " MiB, every fifth backlog")
    # A step of one or two is what the allocator keeps; memory that is not used again grows by as much as before.
    assert max(found[WARM:]) - max(found[:WARM]) < 4, found
