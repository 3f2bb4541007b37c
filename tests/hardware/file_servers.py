"""File servers for the tests: HTTP and HTTPS, and FTP as far as a station speaks it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server's port; at the end nothing of it is left."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Shelf:
    """What the servers have, and what was brought to them. `refuses`: the status of every PUT, or None."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.refuses: int | None = None
        self.stalls = False
        """Answers begin, and never end."""
        self.asked: list[str] = []


@asynccontextmanager
async def http_server(shelf: Shelf, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        shelf.asked.append(f"{method} {path}")
        lengths = [line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length")]
        body = await reader.readexactly(int(lengths[0]) if lengths else 0)
        status, content = 200, b""
        if method == "PUT":
            status = shelf.refuses or 201
            if status < 300:
                shelf.files[path] = body
        elif path in shelf.files:
            content = shelf.files[path]
        else:
            status = 404
        told = len(content) + (1 if shelf.stalls else 0)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {told}\r\nConnection: close\r\n\r\n".encode() + content)
        await writer.drain()
        if shelf.stalls:
            await asyncio.sleep(30)

    async with listening(serve, tls) as port:
        yield f"http://127.0.0.1:{port}" if tls is None else f"https://localhost:{port}"


@asynccontextmanager
async def ftp_server(shelf: Shelf, user: str = "user", password: str = "secret") -> AsyncIterator[str]:
    """Passive FTP (RFC 959, RFC 2428); its address with user and password."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transfers: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        done = asyncio.Event()
        name = ""

        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        async def transfer(data_reader: asyncio.StreamReader, data_writer: asyncio.StreamWriter) -> None:
            done.clear()
            await transfers.put((data_reader, data_writer))
            await done.wait()

        say("220 here")
        async with AsyncExitStack() as stack:
            while line := (await reader.readline()).decode().strip():
                verb, _, rest = line.partition(" ")
                shelf.asked.append(line)
                if verb == "USER":
                    name = rest
                    say("331 and")
                elif verb == "PASS":
                    say("230 in" if (name, rest) == (user, password) else "530 no")
                elif verb == "TYPE":
                    say("200 so")
                elif verb in {"PASV", "EPSV"}:
                    port = await stack.enter_async_context(listening(transfer))
                    say(f"227 at (127,0,0,1,{port >> 8},{port & 255})" if verb == "PASV" else f"229 at (|||{port}|)")
                elif verb == "RETR" and f"/{rest}" not in shelf.files:
                    say("550 none")
                elif verb == "STOR" and shelf.refuses:
                    say("553 no")
                elif verb in {"RETR", "STOR"}:
                    say("150 go")
                    data_reader, data_writer = await transfers.get()
                    if verb == "RETR":
                        data_writer.write(shelf.files[f"/{rest}"])
                        await data_writer.drain()
                    else:
                        shelf.files[f"/{rest}"] = await data_reader.read()
                    done.set()
                    say("226 done")
                elif verb == "QUIT":
                    say("221 bye")
                    break
                else:
                    say("502 what")

    async with listening(serve) as port:
        yield f"ftp://{user}:{password}@127.0.0.1:{port}"
