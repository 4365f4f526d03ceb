/**
 * The numbers of RFC 6455 that several files share: opcodes (§5.2), status codes (§7.4) and sizes.
 */
/** Which end of the connection this is: it decides who masks (§5.1) and who ends the transport first (§7.1.1). */
export type Role = 'server' | 'client';
/** Frame opcodes (§5.2, §11.8). Every other value is reserved. */
export declare const Opcode: {
    readonly Continuation: 0;
    readonly Text: 1;
    readonly Binary: 2;
    readonly Close: 8;
    readonly Ping: 9;
    readonly Pong: 10;
};
/** Status codes of the Close frame, spelled as in the IANA registry (§7.4.1, §11.7). */
export declare const CloseCode: {
    readonly NormalClosure: 1000;
    readonly GoingAway: 1001;
    readonly ProtocolError: 1002;
    readonly UnsupportedData: 1003;
    /** Never on the wire: the Close frame held no code. */
    readonly NoStatusReceived: 1005;
    /** Never on the wire: the connection was lost without a Close frame. */
    readonly AbnormalClosure: 1006;
    readonly InvalidFramePayloadData: 1007;
    readonly PolicyViolation: 1008;
    readonly MessageTooBig: 1009;
    readonly MandatoryExtension: 1010;
    readonly InternalError: 1011;
    readonly ServiceRestart: 1012;
    readonly TryAgainLater: 1013;
    readonly BadGateway: 1014;
};
/** What the server appends to the key before hashing it (§1.3). */
export declare const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** Longest payload of a control frame, in octets (§5.5). */
export declare const MAX_CONTROL_PAYLOAD = 125;
/** Longest frame header in octets: 2, and 8 of extended length, and 4 of masking-key (§5.2). */
export declare const MAX_HEADER_BYTES = 14;
