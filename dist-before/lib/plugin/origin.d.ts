/**
 * Which pages may connect. A browser sends cookies with a WebSocket handshake whatever page opens it, and no
 * same-origin rule holds it back: the server has to look at Origin (RFC 6455 §10.2).
 */
import type { FastifyRequest } from 'fastify';
import { type ResolvedOptions } from './options.ts';
/** Whether the option lets this request in; `origin` is the value of its Origin header. */
export declare function isOriginAllowed(option: ResolvedOptions['origin'], origin: string | undefined, request: FastifyRequest): boolean;
