/**
 * What the core throws at itself. Both errors carry the number that the peer will see;
 * their messages name the rule that was broken and never quote what the peer sent.
 */
/** A peer broke a rule of the protocol, or passed a limit: the connection fails with this close code (RFC 6455 §7.1.7). */
export declare class ProtocolError extends Error {
    readonly closeCode: number;
    constructor(closeCode: number, message: string, options?: ErrorOptions);
}
/** An opening handshake that cannot be accepted (RFC 6455 §4.2.2): the HTTP status, and header fields that must go with it. */
export declare class HandshakeError extends Error {
    readonly statusCode: number;
    readonly headers: Readonly<Record<string, string>>;
    constructor(statusCode: number, message: string, headers?: Readonly<Record<string, string>>);
}
