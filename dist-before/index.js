/**
 * fastify-duplex: WebSocket routes for Fastify. This is the plugin, wrapped for Fastify, and every public name.
 */
import { subscribe } from 'node:diagnostics_channel';
import fp from 'fastify-plugin';
import { FST_WS_ERR_INJECT_ROUTE } from './lib/errors.js';
import { plugin, serverStateOf } from './lib/plugin/plugin.js';
import { routeIdentity } from './lib/subprotocol/contract.js';
import './types/fastify.js';
/**
 * The plugin. Register it before the hooks that authenticate, so that handshake and Origin are checked first, and
 * before the routes. Registered again in a child scope it sets the defaults of that scope.
 */
const duplex = fp(async (instance, options) => {
    await plugin(instance, options);
    decorate(instance);
}, { fastify: '5.x', name: 'fastify-duplex' });
// A test injects before the application is ready, which is when its plugins run.
subscribe('fastify.initialization', (message) => decorate(message.fastify));
function decorate(instance) {
    if (!instance.hasDecorator('injectWebSocket'))
        instance.decorate('injectWebSocket', inject);
}
/** The test client is loaded at its first call: a service in production never needs it. */
async function inject(target, options) {
    const { injectWebSocket } = await import('./lib/testing/inject.js');
    // Routes register while the application gets ready.
    await this.ready();
    const state = serverStateOf(this);
    if (state === undefined)
        throw new FST_WS_ERR_INJECT_ROUTE('fastify-duplex is not registered in this application');
    return injectWebSocket(this, injectTarget(state, target), options);
}
function injectTarget(state, target) {
    if (typeof target === 'string')
        return { path: target };
    const identity = routeIdentity(target);
    if (identity === undefined)
        throw new FST_WS_ERR_INJECT_ROUTE('injectWebSocket takes a path, or a route object made by defineWebSocketRoute');
    const paths = state.paths.get(identity) ?? [];
    if (paths.length === 1)
        return { pattern: paths[0] };
    throw new FST_WS_ERR_INJECT_ROUTE(paths.length === 0
        ? 'This route object is not registered in this application'
        : `This route object is registered more than once (${paths.join(', ')}): inject by path`);
}
export default duplex;
export { duplex };
/** The constructors of all errors, by code. */
export * as errorCodes from './lib/errors.js';
export { bytes, custom, defineWebSocketRoute, json, raw, text } from './lib/subprotocol/contract.js';
export { prepare } from './lib/subprotocol/prepared.js';
export { WebSocket } from './lib/socket/websocket.js';
