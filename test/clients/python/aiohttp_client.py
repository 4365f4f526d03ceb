"""The client of aiohttp. It offers permessage-deflate if it is told to, and has no way to send fragments."""
import asyncio
import json
import platform
import sys

import aiohttp

from messages import messages_of

URL = sys.argv[1]
MESSAGES = list(messages_of(int(size) for size in sys.argv[2].split(',')))


async def echo(session, path):
    async with session.ws_connect(URL + path, compress=15, max_msg_size=0) as socket:
        for message in MESSAGES:
            if isinstance(message, str):
                await socket.send_str(message)
                received = await socket.receive_str()
            else:
                await socket.send_bytes(message)
                received = await socket.receive_bytes()
            assert received == message, f'{path}: {type(message)} of {len(message)} came back as another'
        await socket.close(code=3001, message=b'that is all')
        return socket.close_code


async def pings(session):
    # Pongs are shown to those alone who answer pings themselves.
    async with session.ws_connect(URL + '/pings', autoping=False) as socket:
        ping = await socket.receive(timeout=10)
        assert ping.type == aiohttp.WSMsgType.PING, ping
        await socket.pong(ping.data)
        seen = await socket.receive_str(timeout=10)
        await socket.ping(b'from the client')
        pong = await socket.receive(timeout=10)
        assert pong.type == aiohttp.WSMsgType.PONG and pong.data == b'from the client', pong
        return seen


async def subprotocol(session):
    async with session.ws_connect(URL + '/subprotocols', protocols=['chat.v3', 'chat.v2', 'chat.v1']) as socket:
        return socket.protocol


async def closed(session):
    async with session.ws_connect(URL + '/closes') as socket:
        close = await socket.receive()
        return [close.data, close.extra]


async def refused(session):
    try:
        async with session.ws_connect(URL + '/refuses'):
            return None
    except aiohttp.WSServerHandshakeError as error:
        return error.status


async def main():
    async with aiohttp.ClientSession() as session:
        return {
            'client': f'aiohttp {aiohttp.__version__}, Python {platform.python_version()}',
            'answered': [await echo(session, path) for path in ('/echo', '/deflate', '/takeover')],
            'pings': await pings(session),
            'subprotocol': await subprotocol(session),
            'closed': await closed(session),
            'refused': await refused(session),
        }

print(json.dumps(asyncio.run(main())))
