import type { Codec, Contract } from './contract.ts';
import { ValidationFault, type SchemaCompiler, type SchemaErrorFormatter, type Validator } from './validator.ts';
/** FST_WS_ERR_INVALID_MESSAGE as `onInvalidMessage` gets it; Fastify's own type knows no context 'message'. */
export interface InvalidMessageError extends Error {
    code: string;
    statusCode?: number;
    closeCode: number;
    /** What the schema compiler reported, bounded; only with 1008. */
    validation?: any[];
    validationContext: 'message';
}
/**
 * Thrown by `Subprotocol.decode` for a message that the contract does not allow, and by nothing else: any
 * other exception of `decode` is a fault of the application (its validator, its formatter).
 */
export declare class InvalidMessage {
    readonly error: InvalidMessageError;
    /** Decoded, but not valid; undefined if it could not be decoded. */
    readonly message: unknown;
    constructor(closeCode: number, text: string, fault?: ValidationFault, message?: unknown);
}
export interface SubprotocolParts {
    /** '' for a connection without subprotocol. */
    readonly name: string;
    /** How errors call the place: "route /chat, subprotocol 'chat.v2'". */
    readonly what: string;
    /** Undefined for a raw contract. */
    readonly codec: Codec | undefined;
    readonly receive?: Validator | undefined;
    /** Only with `validateSend`. */
    readonly send?: Validator | undefined;
}
export interface SubprotocolOptions {
    readonly method: string;
    readonly url: string;
    readonly compiler: SchemaCompiler;
    readonly validateSend: boolean;
    readonly schemaErrorFormatter?: SchemaErrorFormatter | undefined;
}
export declare class Subprotocol {
    #private;
    readonly name: string;
    /** No codec: data passes as it is. */
    readonly raw: boolean;
    /** The kinds of data messages that the peer may send. */
    readonly wire: 'text' | 'binary' | 'both';
    /** As what the connection hands text over: no string is made for those who want none. */
    readonly textAs: 'string' | 'buffer';
    /** Where two have the same, a message that one has encoded need not be encoded for the other. */
    readonly encodingKey: object;
    constructor(parts: SubprotocolParts);
    /**
     * A received message, ready for the application. `data` is a string for text and a Buffer for binary (on
     * a raw connection whatever the socket has), and may be returned as it is. Throws an `InvalidMessage`.
     */
    decode(data: string | Buffer, isBinary: boolean): unknown;
    /**
     * A string for a text message, bytes for a binary one; the bytes may be the caller's own memory.
     *
     * With `validateSend` a copy is checked and the message itself is encoded: the option never changes what
     * is sent, and neither defaults nor transforms of the schema touch the application's object. Throws
     * FST_WS_ERR_INVALID_SEND, FST_WS_ERR_DATA_TYPE for what the codec cannot send, and what an own codec throws.
     */
    encode(message: unknown): string | Uint8Array;
    /** For the peer of a connection in the same process: the same messages, the schemas left to this side. */
    flipped(): Subprotocol;
}
/**
 * Compiles what a contract says. Throws FST_WS_ERR_INVALID_SCHEMA or FST_WS_ERR_ASYNC_VALIDATOR, for the
 * schema of `send` also where it will not be used: a schema that cannot work is found at the start.
 */
export declare function createSubprotocol(name: string, contract: Contract, options: SubprotocolOptions): Subprotocol;
/**
 * The first subprotocol in the client's order that the server has (RFC 6455 §4.2.2 leaves the choice to
 * the server); undefined if there is none in common.
 */
export declare function selectSubprotocol(offered: readonly string[], available: ReadonlyMap<string, Subprotocol>): Subprotocol | undefined;
