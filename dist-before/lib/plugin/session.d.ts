/**
 * One open connection as the server sees it: it runs the route's handler, takes the faults, and writes the log.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ErrorKind } from '../../types/options.ts';
import type { FaultSink } from '../socket/faults.ts';
import type { OpenConnection } from '../socket/open.ts';
import type { InvalidMessage } from '../subprotocol/subprotocol.ts';
import type { Endpoint } from './endpoint.ts';
export declare class Session implements FaultSink {
    #private;
    constructor(endpoint: Endpoint, request: FastifyRequest, release: () => void);
    /** The connection is open: it is logged, listed, and handed to the handler; then `start` is called, and what comes is read. */
    begin(open: OpenConnection, instance: FastifyInstance, request: FastifyRequest, start: () => void): void;
    onFault(kind: ErrorKind, thrown: unknown, message: unknown): void;
    onInvalidMessage({ error, message }: InvalidMessage): void;
    onMessagesDiscarded(count: number): void;
    onClosed(): void;
}
