/**
 * The numbers of RFC 6455 that several files share: opcodes (§5.2), status codes (§7.4) and sizes.
 */

/** Which end of the connection this is: it decides who masks (§5.1) and who ends the transport first (§7.1.1). */
export type Role = 'server' | 'client'

/** Frame opcodes (§5.2, §11.8). Every other value is reserved. */
export const Opcode = {
  Continuation: 0x0,
  Text: 0x1,
  Binary: 0x2,
  Close: 0x8,
  Ping: 0x9,
  Pong: 0xa
} as const

/** Parts of the first octet of a frame (§5.2). RSV1 says that a message is compressed (RFC 7692 §6). */
export const First = {
  Fin: 0x80,
  Rsv1: 0x40,
  Opcode: 0x0f,
  /** Of the opcode: whether the frame is a control frame. */
  Control: 0x08
} as const

/** The first octet of a message in one frame that is not compressed. */
export const WHOLE_TEXT = First.Fin | Opcode.Text
export const WHOLE_BINARY = First.Fin | Opcode.Binary

/** Status codes of the Close frame, spelled as in the IANA registry (§7.4.1, §11.7). */
export const CloseCode = {
  NormalClosure: 1000,
  GoingAway: 1001,
  ProtocolError: 1002,
  UnsupportedData: 1003,
  /** Never on the wire: the Close frame held no code. */
  NoStatusReceived: 1005,
  /** Never on the wire: the connection was lost without a Close frame. */
  AbnormalClosure: 1006,
  InvalidFramePayloadData: 1007,
  PolicyViolation: 1008,
  MessageTooBig: 1009,
  MandatoryExtension: 1010,
  InternalError: 1011,
  ServiceRestart: 1012,
  TryAgainLater: 1013,
  BadGateway: 1014
} as const

/** What the server appends to the key before hashing it (§1.3). */
export const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Longest payload of a control frame, in octets (§5.5). */
export const MAX_CONTROL_PAYLOAD = 125

/** Longest frame header in octets: 2, and 8 of extended length, and 4 of masking-key (§5.2). */
export const MAX_HEADER_BYTES = 14
