/**
 * Whom a limit for each address counts: by IPv4 address, by the /64 of an IPv6 address, which one subscriber has whole.
 */
import { isIPv4, isIPv6 } from 'node:net'

const GROUPS = 8
const SUBSCRIBER_GROUPS = 4
/** `::ffff:0:0/96`, in which an IPv4 address stands in the last two groups. */
const MAPPED_IPV4 = ['0', '0', '0', '0', '0', 'ffff']

/** The key under which a peer with this address is counted; undefined for one without, as on a unix socket. */
export function addressKey (address: string | undefined): string | undefined {
  if (address === undefined || address === '') return undefined
  const plain = withoutPort(address).replace(/%.*$/s, '')
  if (!isIPv6(plain)) return plain
  const groups = groupsOf(plain)
  if (MAPPED_IPV4.every((group, i) => groups[i] === group)) return groups.slice(MAPPED_IPV4.length).flatMap(octetsOf).join('.')
  return `${groups.slice(0, SUBSCRIBER_GROUPS).join(':')}::/64`
}

/** A proxy may write the port as well (`192.0.2.7:4711`, `[2001:db8::1]:4711`), which would make another peer of each connection. */
function withoutPort (address: string): string {
  const bracketed = address.startsWith('[')
  const end = bracketed ? address.indexOf(']') : address.lastIndexOf(':')
  const host = address.slice(bracketed ? 1 : 0, Math.max(0, end))
  return (bracketed ? isIPv6 : isIPv4)(host) ? host : address
}

/** The eight groups of an address, without leading zeros, whatever form it has. */
function groupsOf (address: string): string[] {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  // `::` stands for as many groups of zeros as are missing.
  const [left = [], right] = canonical.split('::').map((side) => side === '' ? [] : side.split(':'))
  return right === undefined ? left : [...left, ...Array<string>(GROUPS - left.length - right.length).fill('0'), ...right]
}

function octetsOf (group: string): number[] {
  const value = parseInt(group, 16)
  return [value >> 8, value & 0xff]
}
