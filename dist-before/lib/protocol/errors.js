/**
 * What the core throws at itself. Both errors carry the number that the peer will see;
 * their messages name the rule that was broken and never quote what the peer sent.
 */
/** A peer broke a rule of the protocol, or passed a limit: the connection fails with this close code (RFC 6455 §7.1.7). */
export class ProtocolError extends Error {
    closeCode;
    constructor(closeCode, message, options) {
        super(message, options);
        this.name = 'ProtocolError';
        this.closeCode = closeCode;
    }
}
/** An opening handshake that cannot be accepted (RFC 6455 §4.2.2): the HTTP status, and header fields that must go with it. */
export class HandshakeError extends Error {
    statusCode;
    headers;
    constructor(statusCode, message, headers = {}) {
        super(message);
        this.name = 'HandshakeError';
        this.statusCode = statusCode;
        this.headers = headers;
    }
}
