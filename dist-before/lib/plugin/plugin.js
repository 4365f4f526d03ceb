/**
 * All that the plugin adds to Fastify, in order. It may be registered again, in any scope: the server gets one
 * listener and one registry, each scope its own defaults.
 */
import { subscribe } from 'node:diagnostics_channel';
import { routeIdentity } from '../subprotocol/contract.js';
import { checkUpgrade } from './accept.js';
import { addWebSocketHook, hooksOf, inheritHooks } from './hooks.js';
import { resolvePluginOptions } from './options.js';
import { Registry } from './registry.js';
import { adoptRoute, findRoute, schemaCompilerOf } from './route.js';
import { listenForUpgrades } from './upgrade-listener.js';
/** The options of a scope, which child scopes inherit by their prototype. */
const kOptions = Symbol('fastify-duplex.options');
/** By `fastify.routing`, which is the same function in all scopes of one application. */
const states = new WeakMap();
/** What belongs to the server of this instance; undefined where the plugin is not registered. */
export function serverStateOf(instance) {
    return states.get(instance.routing);
}
/** Routes that were declared before the plugin had run in their scope, by `fastify.routing`. */
const waiting = new WeakMap();
// A plugin runs later than it is registered: what is declared on the same tick would never be seen. So every application
// that is made after this module was imported is watched from its beginning, for the routes that may become ours.
subscribe('fastify.initialization', (message) => {
    const { fastify } = message;
    waiting.set(fastify.routing, []);
    fastify.addHook('onRoute', onRoute);
});
export async function plugin(instance, given) {
    const scope = instance;
    const outer = scope[kOptions];
    const options = scope[kOptions] = resolvePluginOptions(instance, outer, given);
    const state = serverStateOf(instance) ?? attach(instance, options);
    const routes = waiting.get(instance.routing);
    if (routes === undefined) {
        // Made before this module was imported: its routes are seen from here on.
        if (outer === undefined)
            instance.addHook('onRoute', onRoute);
    }
    else {
        for (const found of routes.splice(0)) {
            if (found.scope[kOptions] === undefined)
                routes.push(found);
            else
                adopt(found, state);
        }
    }
    // Hooks and decorations reach down to child scopes: there they are already.
    if (outer !== undefined)
        return;
    instance.decorate('websockets', { getter: () => state.registry });
    instance.decorate('addWebSocketHook', addWebSocketHook);
    instance.addHook('onRegister', inheritHooks);
    instance.addHook('onRequest', checkUpgrade);
}
function onRoute(route) {
    const found = findRoute(this, route);
    if (found === undefined)
        return;
    if (this[kOptions] === undefined)
        waiting.get(this.routing).push(found);
    else
        adopt(found, serverStateOf(this));
}
function adopt(found, state) {
    const { route } = found;
    const scope = found.scope;
    const endpoint = adoptRoute(found, scope[kOptions], state.registry);
    if (endpoint === undefined)
        return;
    const identity = routeIdentity(route);
    if (identity !== undefined)
        state.paths.set(identity, [...state.paths.get(identity) ?? [], route.url]);
    const compilerFor = schemaCompilerOf(scope, route, endpoint);
    let scopeCompiler;
    // When the scope is loaded its own compiler is known, and Fastify's default not yet made.
    scope.after(() => { scopeCompiler = scope.validatorCompiler; });
    // A broken schema stops the start.
    scope.addHook('onReady', async () => {
        endpoint.hooks = hooksOf(scope);
        endpoint.compile({ compiler: compilerFor(scopeCompiler) });
    });
}
/** Connects the application to its server, once. */
function attach(instance, { handshakeTimeoutMs, shutdown }) {
    const state = { registry: new Registry(), paths: new Map() };
    states.set(instance.routing, state);
    const stopListening = listenForUpgrades(instance.server, {
        route: instance.routing,
        hasRoute: ({ url, headers }) => instance.findRoute({
            method: 'GET',
            url: url.replace(/\?.*/s, ''),
            constraints: { host: headers.host, version: headers['accept-version'] }
        }) !== null,
        timeoutMs: handshakeTimeoutMs
    });
    instance.addHook('preClose', () => state.registry.drain(shutdown));
    // Not before the server has closed: until then upgrade requests still come, and want their 503.
    instance.addHook('onClose', async () => stopListening());
    return state;
}
