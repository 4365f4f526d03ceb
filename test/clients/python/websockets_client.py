"""The package websockets. It offers permessage-deflate unless it is told not to."""
import asyncio
import json
import platform
import sys

import websockets
from websockets.version import version

from messages import messages_of

URL = sys.argv[1]
MESSAGES = list(messages_of(int(size) for size in sys.argv[2].split(',')))


def connect(path, **options):
    return websockets.connect(URL + path, max_size=None, **options)


async def echo(path):
    async with connect(path) as socket:
        for message in MESSAGES:
            await socket.send(message)
            assert await socket.recv() == message, f'{path}: {type(message)} of {len(message)} came back as another'
        await socket.close(3001, 'that is all')
        return socket.close_code


async def fragments():
    async with connect('/fragments') as socket:
        await socket.send(['in ', 'three ', 'parts'])
        return await socket.recv()


async def pings():
    async with connect('/pings') as socket:
        seen = await socket.recv()
        # Resolves with the pong that has the same payload.
        await asyncio.wait_for(await socket.ping('from the client'), 10)
        return seen


async def subprotocol():
    async with connect('/subprotocols', subprotocols=['chat.v3', 'chat.v2', 'chat.v1']) as socket:
        return socket.subprotocol


async def closed():
    async with connect('/closes') as socket:
        await socket.wait_closed()
        return [socket.close_code, socket.close_reason]


async def refused():
    try:
        async with connect('/refuses'):
            return None
    except websockets.InvalidStatusCode as error:
        return error.status_code


async def main():
    return {
        'client': f'websockets {version}, Python {platform.python_version()}',
        'answered': [await echo(path) for path in ('/echo', '/deflate', '/takeover')],
        'fragments': await fragments(),
        'pings': await pings(),
        'subprotocol': await subprotocol(),
        'closed': await closed(),
        'refused': await refused(),
    }

print(json.dumps(asyncio.run(main())))
