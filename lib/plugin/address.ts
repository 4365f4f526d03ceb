/**
 * Whom a limit for each address counts: by IPv4 address, by the /64 of an IPv6 address, which one subscriber has whole.
 */
import { isIPv4, isIPv6 } from 'node:net'

const MAPPED_IPV4 = '::ffff:'
const GROUPS = 8
const SUBSCRIBER_GROUPS = 4

/** The key under which a peer with this address is counted; undefined for one without, as on a unix socket. */
export function addressKey (address: string | undefined): string | undefined {
  if (address === undefined || address === '') return undefined
  const plain = address.toLowerCase().replace(/%.*$/s, '')
  if (plain.startsWith(MAPPED_IPV4) && isIPv4(plain.slice(MAPPED_IPV4.length))) return plain.slice(MAPPED_IPV4.length)
  if (!isIPv6(plain)) return plain
  // `::` stands for as many groups of zeros as are missing.
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = tail === undefined ? left : [...left, ...Array<string>(Math.max(0, GROUPS - left.length - right.length)).fill('0'), ...right]
  return `${groups.slice(0, SUBSCRIBER_GROUPS).map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`
}
