"""A web service with files to fetch and to put, and the clients that do so."""
import asyncio
import random
import socket

import office


async def shop(host, rng, reader, writer):
    """/pageN is an answer of one segment, /file?N has N bytes, a PUT is taken in."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        await office.gate(host)
        verb, path = head.split(b" ", 2)[:2]
        body = b"<html>" + b"%08x " % rng.randrange(1 << 32) * rng.randint(9, 60) + b"</html>\r\n"
        if verb == b"PUT":
            await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
            body = b"taken\r\n"
        elif path.startswith(b"/file?"):
            body = rng.randbytes(int(path.split(b"?")[1]))
        await asyncio.sleep(office.draw(rng, 0.004, 0.001) + getattr(host, "slow", 0) * rng.uniform(0.7, 1.3))
        await office.gate(host)
        writer.write(b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
                     % len(body) + body)


def opens(o):
    """The shop on port 80 of each server, HTTPS and names beside it."""
    run = o.stage.loop.run_until_complete
    o.stage.open()
    for host in o.servers:
        run(office.serve(host, 443, office.secure))
        run(office.serve(host, 80, shop))
        run(office.names(host))


class Pages(office.Web):
    """Small pages on one connection."""

    def __init__(self, client, server, think, patience):
        super().__init__(client, server, "small", think, patience)

    async def session(self, line):
        while True:
            await self.turn(line)
            await asyncio.sleep(office.draw(self.rng, self.think, 0.3))

    async def turn(self, line):
        line.send(self.ask("/page%d.htm" % self.rng.randrange(40)))
        await self.answer(line)


class Loads(Pages):
    """A file now and then, `size` bytes or so. lazy: acknowledgments of a lone segment are
    delayed from the first one on, as Windows does it."""

    def __init__(self, client, server, think, size, patience, lazy=False):
        super().__init__(client, server, think, patience)
        self.size, self.lazy = size, lazy
        self.rng = random.Random("%s/%s/loads" % (client.stage.seed, client.name))

    async def turn(self, line):
        line.send(self.ask("/file?%d" % self.rng.randint(self.size * 2 // 3, self.size)))
        lazy = self.client.stage.spawn(self.delays(line)) if self.lazy else None
        await self.answer(line)
        if lazy:
            lazy.cancel()

    @staticmethod
    async def delays(line):
        """Linux goes back to quick acknowledgments after each delayed one."""
        while not line.writer.is_closing():
            line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            await asyncio.sleep(0.001)


class Puts(Loads):
    """The same the other way."""

    async def turn(self, line):
        size = self.rng.randint(self.size * 2 // 3, self.size)
        line.send(b"PUT /in%d.bin HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n"
                  % (self.rng.randrange(100), self.server.name.lower().encode(), size) + self.rng.randbytes(size))
        await self.answer(line)
