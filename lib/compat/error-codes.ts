/**
 * The codes by which `ws` calls what a peer does wrong: applications compare them.
 */

/** By the rule that was broken, as the error's message names it. What `ws` has no code for keeps ours. */
const BY_RULE: ReadonlyMap<string, string> = new Map([
  ['RSV1 set without an extension', 'WS_ERR_UNEXPECTED_RSV_1'],
  ['RSV1 set on a control frame', 'WS_ERR_UNEXPECTED_RSV_1'],
  ['RSV1 set on a continuation frame', 'WS_ERR_UNEXPECTED_RSV_1'],
  ['RSV2 or RSV3 set without an extension', 'WS_ERR_UNEXPECTED_RSV_2_3'],
  ['reserved opcode', 'WS_ERR_INVALID_OPCODE'],
  ['continuation frame without a message to continue', 'WS_ERR_INVALID_OPCODE'],
  ['new message before the last fragment of the one before', 'WS_ERR_INVALID_OPCODE'],
  ['frame of a client without a mask', 'WS_ERR_EXPECTED_MASK'],
  ['frame of a server with a mask', 'WS_ERR_UNEXPECTED_MASK'],
  ['fragmented control frame', 'WS_ERR_EXPECTED_FIN'],
  ['control frame above 125 octets', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH'],
  ['Close frame with a payload of one octet', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH'],
  ['Close frame with a code that must not be sent', 'WS_ERR_INVALID_CLOSE_CODE'],
  ['length not in its shortest form', 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH'],
  ['length with its topmost bit set', 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH'],
  ['message above the limit', 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'],
  ['too many empty fragments', 'WS_ERR_TOO_MANY_BUFFERED_PARTS'],
  ['text that is not UTF-8', 'WS_ERR_INVALID_UTF8'],
  ['Close frame with a reason that is not UTF-8', 'WS_ERR_INVALID_UTF8']
])

/** A listener of `error`: gives a fault of the peer the code that it has in `ws`. */
export function useWsCode (error: Error & { code?: string }): void {
  const code = BY_RULE.get(error.message)
  if (code !== undefined && (error.code === 'FST_WS_ERR_PROTOCOL' || error.code === 'FST_WS_ERR_LIMIT')) error.code = code
}
