import t from 'tap'
import { addressKey } from '../../lib/plugin/address.ts'

t.test('an IPv4 address is one, in every spelling of its mapping into IPv6', async (t) => {
  for (const address of ['192.0.2.7', '::ffff:192.0.2.7', '::FFFF:192.0.2.7', '::ffff:c000:207', '0:0:0:0:0:ffff:192.0.2.7', '0000:0000:0000:0000:0000:ffff:c000:0207']) {
    t.equal(addressKey(address), '192.0.2.7', address)
  }
  t.not(addressKey('192.0.2.8'), addressKey('192.0.2.7'))
  t.equal(addressKey('::ffff:0.0.0.0'), '0.0.0.0')
  t.equal(addressKey('::ffff:255.255.255.255'), '255.255.255.255')
})

t.test('of IPv6 a /64 is one', async (t) => {
  for (const address of ['2001:db8:1:2::', '2001:db8:1:2::1', '2001:0DB8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2:0:0:192.0.2.7', '2001:db8:1:2::1%eth0']) {
    t.equal(addressKey(address), '2001:db8:1:2::/64', address)
  }
  for (const address of ['2001:db8:1:3::1', '2001:db8:1::1', '2001:db8::1:2:0:0:1', '2001:db8:1:20::1', '::1']) t.not(addressKey(address), '2001:db8:1:2::/64', address)
})

t.test('what is left out of an address is zeros, wherever', async (t) => {
  for (const [address, key] of [
    ['::', '0:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['1:2:3::', '1:2:3:0::/64'],
    ['1::5:6:7:8', '1:0:0:0::/64'],
    ['1::4:5:6:7:8', '1:0:0:4::/64'],
    ['::3:4:5:6:7:8', '0:0:3:4::/64'],
    ['1:2:3:4:5:6:7::', '1:2:3:4::/64'],
    ['::3:4:5:6:192.0.2.7', '0:0:3:4::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['0001:0000:0000:0000::9', '1:0:0:0::/64']
  ] as const) t.equal(addressKey(address), key, address)
})

t.test('without an address there is no key; what is none stands for itself', async (t) => {
  t.equal(addressKey(undefined), undefined)
  t.equal(addressKey(''), undefined)
  for (const text of ['unknown', '_hidden', '1::2::3', ':::', 'host:80', '[', '[]', '999.1.1.1:80']) t.equal(addressKey(text), text)
})

t.test('a port behind it, which some proxies write, makes no other peer of it', async (t) => {
  for (const address of ['192.0.2.7:4711', '192.0.2.7:4712', '[::ffff:192.0.2.7]:4711']) t.equal(addressKey(address), '192.0.2.7', address)
  for (const address of ['[2001:db8:1:2::1]', '[2001:db8:1:2::1]:4711', '[2001:db8:1:2::2%eth0]:4712']) t.equal(addressKey(address), '2001:db8:1:2::/64', address)
  t.equal(addressKey('1:2:3:4:5:6:192.0.2.7'), '1:2:3:4::/64', 'which is a part of the address')
})
