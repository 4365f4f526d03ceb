/**
 * MQTT: the broker aedes gets the stream of a connection, and clients of MQTT.js talk to it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Aedes } from 'aedes'
import duplex, { raw } from 'fastify-duplex'
import mqtt from 'mqtt'
import { start, until } from './helpers.js'

test('aedes over our stream()', async (t) => {
  const broker = await Aedes.createBroker({ authenticate: (_client, name, password, done) => done(null, String(password) === 'secret') })
  t.after(() => new Promise((resolve) => broker.close(resolve)))
  const { app, host } = await start(t, async (app) => {
    await app.register(duplex)
    app.get('/mqtt', { websocket: true, subprotocols: { mqtt: raw(), 'mqttv3.1': raw() } }, (socket, request) => { broker.handle(socket.stream(), request.raw) })
  })
  const connect = async (options) => {
    const client = mqtt.connect(`ws://${host}/mqtt`, { reconnectPeriod: 0, username: 'me', password: 'secret', ...options })
    t.after(() => client.endAsync(true))
    await new Promise((resolve, reject) => client.on('connect', resolve).on('error', reject))
    return client
  }
  for (const version of [{ protocolVersion: 4 }, { protocolVersion: 3, protocolId: 'MQIsdp' }]) {
    const subscriber = await connect(version)
    const publisher = await connect(version)
    const got = []
    subscriber.on('message', (topic, payload) => got.push([topic, payload]))
    await subscriber.subscribeAsync('rooms/+', { qos: 1 })
    const large = Buffer.alloc(500_000, 'large')
    await publisher.publishAsync('rooms/a', large, { qos: 1 })
    await Promise.all(Array.from({ length: 100 }, (_, i) => publisher.publishAsync('rooms/b', String(i), { qos: 1 })))
    await publisher.publishAsync('elsewhere', 'no', { qos: 1 })
    await until(() => got.length === 101)
    assert.ok(got[0][0] === 'rooms/a' && got[0][1].equals(large), 'a large message')
    assert.deepEqual(got.slice(1).map(([, payload]) => Number(payload)), Array.from({ length: 100 }, (_, i) => i), 'all of them in order')
  }
  assert.equal(app.websockets.size, 4)

  await assert.rejects(connect({ password: 'wrong' }), /Not authorized|Bad username or password|Connection refused/)
  await until(() => app.websockets.size === 4)
})
