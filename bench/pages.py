"""A web API on loopback that costs next to nothing: pages of JSON made beforehand. Usage: pages.py

Prints its port. `/flat?page=N` has 1,000 flat records of 200,000, `/nested?page=N` 500 of 50,000 with three lists of
two items each; `pages` says how many pages there are.
"""

import asyncio
import json
from random import Random

FLAT, NESTED = 200_000, 50_000
FLAT_PAGE, NESTED_PAGE = 1000, 500
CHILDREN = 2  # items of each list


def flat(i, random):
    return {
        "id": i,
        "code": f"A-{i:08}",
        "status": random.choice(["open", "paid", "sent", "returned"]),
        "customer": f"customer{i % 5000}@example.com",
        "city": f"City {i % 300}",
        "amount": round(random.random() * 1000, 2),
        "quantity": i % 40,
        "discounted": i % 9 == 0,
        "note": None if i % 5 else f"note number {i} with some words in it",
        "ordered_on": f"2024-{i % 12 + 1:02}-{i % 28 + 1:02}",
        "updated_at": f"2024-{i % 12 + 1:02}-{i % 28 + 1:02}T{i % 24:02}:{i % 60:02}:{i % 59:02}.{i % 1000:03}Z",
        "channel": "web" if i % 3 else "shop",
    }


def nested(i, random):
    return {
        "id": i,
        "customer": {"id": i % 5000, "address": {"city": f"City {i % 300}", "country": "ES"}},
        "updated_at": f"2024-{i % 12 + 1:02}-{i % 28 + 1:02}T{i % 24:02}:{i % 60:02}:{i % 59:02}Z",
        "lines": [{"product": f"P{(i + j) % 900}", "quantity": j + 1, "price": round(random.random() * 90, 2)} for j in range(CHILDREN)],
        "payments": [{"kind": "card", "amount": i % 100 + j, "at": f"2024-01-{j + 1:02}T00:00:00Z"} for j in range(CHILDREN)],
        "events": [{"name": "created" if j == 0 else "sent", "by": f"user {i % 20}"} for j in range(CHILDREN)],
    }


def pages(name, make, count, size):
    random, last = Random(name), count // size
    for page in range(1, last + 1):
        rows = [make(i, random) for i in range((page - 1) * size + 1, page * size + 1)]
        body = json.dumps({"data": rows, "page": page, "pages": last}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        yield f"/{name}?page={page}", head.encode() + body


async def main():
    answers = dict(pages("flat", flat, FLAT, FLAT_PAGE)) | dict(pages("nested", nested, NESTED, NESTED_PAGE))

    async def serve(reader, writer):
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                path = request.split(b" ", 2)[1].decode()
                writer.write(answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
