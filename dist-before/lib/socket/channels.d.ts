/** `{ socket, request }`: the handler is about to run. */
export declare const opened: import("diagnostics_channel").Channel<unknown, unknown>;
/** `{ socket, code, reason, wasClean }`. */
export declare const closed: import("diagnostics_channel").Channel<unknown, unknown>;
/** `{ socket, data, isBinary }`: a message as it came, before it is decoded. */
export declare const messageReceived: import("diagnostics_channel").Channel<unknown, unknown>;
/** `{ socket, message }`: what was given to `send`. */
export declare const messageSent: import("diagnostics_channel").Channel<unknown, unknown>;
/** `{ socket, kind, error }`: any fault, as `errorHandler` gets it. */
export declare const failed: import("diagnostics_channel").Channel<unknown, unknown>;
/** `{ request, limit }`: a handshake that a limit on connections has refused. */
export declare const limited: import("diagnostics_channel").Channel<unknown, unknown>;
