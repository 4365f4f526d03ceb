/**
 * Negotiation of permessage-deflate (RFC 7692 §5, §7.1): offers in, an answer out, and for a client the other way round.
 *
 * Pure functions. An offer that cannot be met to the letter is declined, which is no error: another may do, or the
 * connection goes on without the extension. An answer that cannot be kept to fails the connection (§7). Names are
 * compared exactly: they are tokens of a registry, for which neither RFC 6455 nor this one knows another case.
 */
import { HandshakeError } from '../protocol/errors.js';
import { parseExtensionList } from './header-grammar.js';
const PERMESSAGE_DEFLATE = 'permessage-deflate';
const SERVER_NO_CONTEXT_TAKEOVER = 'server_no_context_takeover';
const CLIENT_NO_CONTEXT_TAKEOVER = 'client_no_context_takeover';
const SERVER_MAX_WINDOW_BITS = 'server_max_window_bits';
const CLIENT_MAX_WINDOW_BITS = 'client_max_window_bits';
const MAX_WINDOW_BITS = 15;
/** What this end can compress with. As text: 010, 1e1 and 0xa are numbers too, but no values (§7.1.2.1, §7.1.2.2). */
const OWN_WINDOW_BITS = ['9', '10', '11', '12', '13', '14', '15'];
/** What it can inflate. zlib makes 9 of 8 when it compresses without a header, so 8 cannot be promised. */
const PEER_WINDOW_BITS = ['8', ...OWN_WINDOW_BITS];
/** The parameters of an offer, and the values that this end can meet as a server. */
const OFFER = new Map([
    [SERVER_NO_CONTEXT_TAKEOVER, [true]],
    [CLIENT_NO_CONTEXT_TAKEOVER, [true]],
    [SERVER_MAX_WINDOW_BITS, OWN_WINDOW_BITS],
    [CLIENT_MAX_WINDOW_BITS, [true, ...PEER_WINDOW_BITS]]
]);
/** The parameters of an answer, and the values that this end can keep to as a client. */
const ANSWER = new Map([
    [SERVER_NO_CONTEXT_TAKEOVER, [true]],
    [CLIENT_NO_CONTEXT_TAKEOVER, [true]],
    [SERVER_MAX_WINDOW_BITS, PEER_WINDOW_BITS],
    [CLIENT_MAX_WINDOW_BITS, OWN_WINDOW_BITS]
]);
/** The status of an answer that agreed, but broke a rule. */
const SWITCHING_PROTOCOLS = 101;
/** Agrees to the first offer that can be met, in the client's order (§5); undefined if there is none. */
export function negotiateDeflate(offers, wishes) {
    for (const { name, params } of offers) {
        const asked = name === PERMESSAGE_DEFLATE ? readParams(params, OFFER) : undefined;
        if (asked !== undefined)
            return agree(asked, wishes);
    }
    return undefined;
}
/** The offer of a client. It can keep to a smaller window, if the server asks for one. */
export function offerDeflate(wishes) {
    const offer = `${PERMESSAGE_DEFLATE}; ${CLIENT_MAX_WINDOW_BITS}`;
    return wishes.contextTakeover ? offer : `${offer}; ${SERVER_NO_CONTEXT_TAKEOVER}; ${CLIENT_NO_CONTEXT_TAKEOVER}`;
}
/**
 * Reads what a server answered to `offerDeflate` with the same wishes; undefined if it declined. Throws a HandshakeError
 * for what that offer does not allow.
 */
export function readDeflateAnswer(answer, wishes) {
    if (answer === '')
        return undefined;
    const [extension, another] = parseExtensionList(answer) ?? [];
    if (extension?.name !== PERMESSAGE_DEFLATE || another !== undefined)
        fail('permessage-deflate must be the only extension, and be agreed on once');
    const given = readParams(extension.params, ANSWER);
    if (given === undefined)
        fail('permessage-deflate was agreed on with a parameter that cannot be kept to');
    // §7.1.1.1: only by this parameter a server grants what the offer asks for.
    if (!wishes.contextTakeover && !given.has(SERVER_NO_CONTEXT_TAKEOVER))
        fail('permessage-deflate was agreed on without server_no_context_takeover');
    return {
        serverNoContextTakeover: given.has(SERVER_NO_CONTEXT_TAKEOVER),
        // §7.1.1.2: the offer has promised as much, whether or not the answer repeats it.
        clientNoContextTakeover: !wishes.contextTakeover || given.has(CLIENT_NO_CONTEXT_TAKEOVER),
        serverMaxWindowBits: windowBits(given, SERVER_MAX_WINDOW_BITS),
        clientMaxWindowBits: windowBits(given, CLIENT_MAX_WINDOW_BITS)
    };
}
/** An offer that can be met is answered with what will really be used. */
function agree(asked, wishes) {
    // §7.1.1.1: granted when asked for; and a server may say so unasked.
    const serverNoContextTakeover = !wishes.contextTakeover || asked.has(SERVER_NO_CONTEXT_TAKEOVER);
    // §7.1.1.2: a server may demand it; in an offer it is a hint, which becomes binding when the answer repeats it.
    const clientNoContextTakeover = !wishes.contextTakeover || asked.has(CLIENT_NO_CONTEXT_TAKEOVER);
    // §7.1.2.1: what the offer asks for, or less.
    const serverMaxWindowBits = Math.min(wishes.serverMaxWindowBits, windowBits(asked, SERVER_MAX_WINDOW_BITS));
    // §7.1.2.2: at most what the offer says. A window that is not taken over need not be small: nobody remembers it.
    const isClientLimited = asked.has(CLIENT_MAX_WINDOW_BITS) && !clientNoContextTakeover;
    const clientMaxWindowBits = isClientLimited ? Math.min(wishes.serverMaxWindowBits, windowBits(asked, CLIENT_MAX_WINDOW_BITS)) : MAX_WINDOW_BITS;
    const answer = [PERMESSAGE_DEFLATE];
    if (serverNoContextTakeover)
        answer.push(SERVER_NO_CONTEXT_TAKEOVER);
    if (clientNoContextTakeover)
        answer.push(CLIENT_NO_CONTEXT_TAKEOVER);
    // §7.1.2.1: an offer that asks for it is accepted by including it, so even where it changes nothing.
    if (asked.has(SERVER_MAX_WINDOW_BITS) || serverMaxWindowBits < MAX_WINDOW_BITS)
        answer.push(`${SERVER_MAX_WINDOW_BITS}=${serverMaxWindowBits}`);
    // §7.1.2.2: MUST NOT be included unless the offer has it, which a smaller window proves.
    if (clientMaxWindowBits < MAX_WINDOW_BITS)
        answer.push(`${CLIENT_MAX_WINDOW_BITS}=${clientMaxWindowBits}`);
    return {
        params: { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits },
        answer: answer.join('; ')
    };
}
/** Undefined by the rules of §7: a parameter that does not belong there, a wrong value, or a name twice. */
function readParams(params, known) {
    const read = new Map(params);
    const isValid = read.size === params.length && params.every(([name, value]) => known.get(name)?.includes(value));
    return isValid ? read : undefined;
}
/** The largest window, unless the parameter is there and has a value. */
function windowBits(params, name) {
    const value = params.get(name);
    return typeof value === 'string' ? Number(value) : MAX_WINDOW_BITS;
}
function fail(message) {
    throw new HandshakeError(SWITCHING_PROTOCOLS, message);
}
