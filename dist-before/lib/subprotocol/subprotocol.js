/**
 * A subprotocol as the server speaks it: its name, its codec and its compiled schemas (RFC 6455 §1.9).
 *
 * One object for each contract of a route, made at the start and shared by all its connections, so that it
 * holds nothing of theirs. It says which close code a bad message deserves; closing is left to the socket.
 */
import { types } from 'node:util';
import { FST_WS_ERR_DATA_TYPE, FST_WS_ERR_INVALID_CONTRACT, FST_WS_ERR_INVALID_MESSAGE, FST_WS_ERR_INVALID_SEND } from '../errors.js';
import { CloseCode } from '../protocol/constants.js';
import { encodeRaw, isBytes, jsonOrBytesCodec, resolveCodec } from './codec.js';
import { compileValidator, ignoreRejection, isPlainObject, isThenable, shorten, ValidationFault } from './validator.js';
/**
 * Thrown by `Subprotocol.decode` for a message that the contract does not allow, and by nothing else: any
 * other exception of `decode` is a fault of the application (its validator, its formatter).
 */
export class InvalidMessage {
    error;
    /** Decoded, but not valid; undefined if it could not be decoded. */
    message;
    constructor(closeCode, text, fault, message) {
        this.error = Object.assign(new FST_WS_ERR_INVALID_MESSAGE(text), { closeCode, validationContext: 'message' });
        if (fault !== undefined)
            describe(this.error, fault);
        this.message = message;
    }
}
/** All raw connections encode alike. */
const RAW_ENCODING = {};
export class Subprotocol {
    name;
    /** No codec: data passes as it is. */
    raw;
    /** The kinds of data messages that the peer may send. */
    wire;
    /** As what the connection hands text over: no string is made for those who want none. */
    textAs;
    /** Where two have the same, a message that one has encoded need not be encoded for the other. */
    encodingKey;
    #what;
    #codec;
    #receive;
    #send;
    #bytesPass;
    constructor(parts) {
        const { codec } = parts;
        this.name = parts.name;
        this.raw = codec === undefined;
        this.wire = codec === undefined ? 'both' : codec.wire;
        this.textAs = codec === undefined || codec.wire === 'binary' ? 'buffer' : 'string';
        // A message that has passed one schema has not passed another.
        this.encodingKey = parts.send === undefined ? codec ?? RAW_ENCODING : this;
        this.#what = parts.what;
        this.#codec = codec;
        this.#receive = parts.receive;
        this.#send = parts.send;
        this.#bytesPass = codec === jsonOrBytesCodec;
    }
    /**
     * A received message, ready for the application. `data` is a string for text and a Buffer for binary (on
     * a raw connection whatever the socket has), and may be returned as it is. Throws an `InvalidMessage`.
     */
    decode(data, isBinary) {
        const codec = this.#codec;
        if (codec === undefined)
            return data;
        if (codec.wire !== 'both' && isBinary !== (codec.wire === 'binary')) {
            throw new InvalidMessage(CloseCode.UnsupportedData, isBinary ? 'binary where the contract has text' : 'text where the contract has binary');
        }
        let message;
        try {
            message = codec.decode(data);
        }
        catch (error) {
            // Only the error's name: its text may quote the payload, as that of V8's JSON.parse does.
            const name = error instanceof Error ? error.name : typeof error;
            throw new InvalidMessage(CloseCode.InvalidFramePayloadData, shorten(`the codec '${codec.name}' cannot decode it (${name})`));
        }
        if (message instanceof Promise) {
            ignoreRejection(message);
            throw new FST_WS_ERR_INVALID_CONTRACT(this.#what, `the codec '${codec.name}' decoded to a promise: codecs are synchronous`);
        }
        if (this.#receive === undefined || (isBinary && this.#bytesPass))
            return message;
        try {
            return this.#receive.validate(message);
        }
        catch (fault) {
            if (!(fault instanceof ValidationFault))
                throw fault;
            throw new InvalidMessage(CloseCode.PolicyViolation, fault.text, fault, message);
        }
    }
    /**
     * A string for a text message, bytes for a binary one; the bytes may be the caller's own memory.
     *
     * With `validateSend` a copy is checked and the message itself is encoded: the option never changes what
     * is sent, and neither defaults nor transforms of the schema touch the application's object. Throws
     * FST_WS_ERR_INVALID_SEND, FST_WS_ERR_DATA_TYPE for what the codec cannot send, and what an own codec throws.
     */
    encode(message) {
        const codec = this.#codec;
        if (codec === undefined)
            return encodeRaw(message);
        if (this.#send !== undefined && !(this.#bytesPass && isBytes(message)))
            checkSend(this.#send, message);
        const encoded = codec.encode(message);
        if (typeof encoded === 'string' && codec.wire !== 'binary')
            return encoded;
        if (types.isUint8Array(encoded) && codec.wire !== 'text')
            return encoded;
        // It would go out as a message that the peer, by the same contract, must refuse.
        if (isThenable(encoded))
            ignoreRejection(encoded);
        throw new FST_WS_ERR_DATA_TYPE(`the codec '${codec.name}' must encode to ${WIRE_TYPE[codec.wire]}, synchronously`);
    }
    /** For the peer of a connection in the same process: the same messages, the schemas left to this side. */
    flipped() {
        return new Subprotocol({ name: this.name, what: this.#what, codec: this.#codec });
    }
}
const WIRE_TYPE = { text: 'a string', binary: 'a Uint8Array', both: 'a string or a Uint8Array' };
/**
 * Compiles what a contract says. Throws FST_WS_ERR_INVALID_SCHEMA or FST_WS_ERR_ASYNC_VALIDATOR, for the
 * schema of `send` also where it will not be used: a schema that cannot work is found at the start.
 */
export function createSubprotocol(name, contract, options) {
    const { method, url, compiler, validateSend, schemaErrorFormatter } = options;
    const what = name === '' ? `route ${url}` : `route ${url}, subprotocol '${name}'`;
    const { receive: receiveSchema, send: sendSchema } = contract;
    const compile = (direction, schema) => schema === undefined ? undefined : compileValidator(compiler, schema, { method, url, direction, what, schemaErrorFormatter });
    const receive = compile('receive', receiveSchema);
    const send = compile('send', sendSchema);
    return new Subprotocol({ name, what, codec: resolveCodec(contract), receive, send: validateSend ? send : undefined });
}
/**
 * The first subprotocol in the client's order that the server has (RFC 6455 §4.2.2 leaves the choice to
 * the server); undefined if there is none in common.
 */
export function selectSubprotocol(offered, available) {
    for (const name of offered) {
        const subprotocol = available.get(name);
        if (subprotocol !== undefined)
            return subprotocol;
    }
    return undefined;
}
function checkSend(validator, message) {
    try {
        validator.validate(copyOf(message));
    }
    catch (error) {
        // Of the copy; a validator's own has become a fault already.
        const fault = error instanceof RangeError ? new ValidationFault('message is nested too deeply, or in a circle', []) : error;
        if (!(fault instanceof ValidationFault))
            throw fault;
        throw describe(Object.assign(new FST_WS_ERR_INVALID_SEND(fault.text), { validationContext: 'message' }), fault);
    }
}
function describe(error, fault) {
    error.validation = fault.errors;
    if (fault.cause !== undefined)
        error.cause = fault.cause;
    return error;
}
/** Objects and arrays, which a validator may fill in, are copied; dates, class instances and bytes are not. */
function copyOf(value) {
    if (Array.isArray(value))
        return value.map(copyOf);
    if (!isPlainObject(value))
        return value;
    const copy = { ...value };
    for (const key of Object.keys(copy))
        copy[key] = copyOf(copy[key]);
    return copy;
}
