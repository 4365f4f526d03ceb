import type { FastifyInstance } from 'fastify';
import type { DuplexOptions } from '../../types/options.ts';
import { Registry } from './registry.ts';
/** What is one for each server, whatever is registered in which scope. */
export interface ServerState {
    readonly registry: Registry;
    /** The paths under which the route objects of `defineWebSocketRoute` are registered, prefix included. */
    readonly paths: Map<object, string[]>;
}
/** What belongs to the server of this instance; undefined where the plugin is not registered. */
export declare function serverStateOf(instance: FastifyInstance): ServerState | undefined;
export declare function plugin(instance: FastifyInstance, given: DuplexOptions): Promise<void>;
