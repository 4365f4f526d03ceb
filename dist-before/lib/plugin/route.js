/**
 * What becomes of a route that asks for WebSocket: it is found when it is declared, and adopted when the plugin has run
 * in its scope. Other routes are left alone.
 */
import AjvCompiler from '@fastify/ajv-compiler';
import { FST_WS_ERR_INVALID_OPTION, FST_WS_ERR_INVALID_ROUTE } from '../errors.js';
import { validateContracts } from '../subprotocol/contract.js';
import { acceptUpgrade, isChecked, kEndpoint, refusePlainRequest } from './accept.js';
import { Endpoint } from './endpoint.js';
import { resolveRouteOptions } from './options.js';
/**
 * Looks at a route when it is declared; undefined if nothing in it is ours. A route may be declared before the plugin
 * has run, on the tick that registers it: so its handler is replaced by one that asks, at each request, whether the
 * route was adopted meanwhile. If it never is, everything is as it was.
 */
export function findRoute(scope, route) {
    const { websocket, wsHandler, messages, subprotocols } = route;
    if (websocket !== true && wsHandler === undefined && messages === undefined && subprotocols === undefined)
        return undefined;
    const handler = route.handler;
    const plain = wsHandler === undefined ? undefined : handler;
    const slot = { endpoint: undefined, adopted: false };
    route.config = { ...route.config, [kEndpoint]: slot };
    route.handler = function (request, reply) {
        if (!slot.adopted)
            return notAdopted(route.url, handler).call(this, request, reply);
        if (slot.endpoint !== undefined && isChecked(request))
            return acceptUpgrade(this, slot.endpoint, request, reply);
        return plain === undefined ? refusePlainRequest(request, reply) : plain.call(this, request, reply);
    };
    return { scope, route, handler, slot };
}
/**
 * Makes a found route ours, with the options of its scope: a GET whose handler accepts upgrades. Returns its endpoint;
 * undefined for the HEAD route that Fastify adds to each GET, which answers as the plain GET does.
 *
 * Throws FST_WS_ERR_INVALID_ROUTE, FST_WS_ERR_INVALID_CONTRACT and what the options throw.
 */
export function adoptRoute({ scope, route, handler, slot }, options, registry) {
    const { websocket, wsHandler, messages, subprotocols, websocketOptions, selectSubprotocol } = route;
    if (websocket !== true && wsHandler === undefined)
        throw new FST_WS_ERR_INVALID_ROUTE(route.url, "'messages' and 'subprotocols' need 'websocket: true'");
    if (isMethod(route.method, 'HEAD')) {
        slot.adopted = true;
        return undefined;
    }
    if (!isMethod(route.method, 'GET'))
        throw new FST_WS_ERR_INVALID_ROUTE(route.url, `its method must be GET, not ${String(route.method)}`);
    validateContracts(`route ${route.url}`, messages, subprotocols);
    const endpoint = new Endpoint({
        url: route.url,
        options: withSelection(resolveRouteOptions(scope, options, websocketOptions), selectSubprotocol),
        messages,
        subprotocols,
        handler: socketHandler(route.url, wsHandler === undefined ? handler : wsHandler),
        logsRequests: requestLogging(scope),
        registry
    });
    if (!endpoint.raw && (selectSubprotocol ?? websocketOptions?.selectSubprotocol) !== undefined) {
        throw new FST_WS_ERR_INVALID_ROUTE(route.url, "'selectSubprotocol' is for routes without contracts; the contracts say which subprotocols there are");
    }
    slot.endpoint = endpoint;
    slot.adopted = true;
    return endpoint;
}
/** The handler of a route that another plugin serves, or nobody. */
function notAdopted(url, handler) {
    if (typeof handler === 'function')
        return handler;
    throw new FST_WS_ERR_INVALID_ROUTE(url, 'fastify-duplex is not registered in its scope');
}
/**
 * The compiler of a route's message schemas: the one given for messages, the route's own, that of its scope, or Ajv.
 * The scope's is looked for before Fastify makes its default, which coerces and removes (see `messageAjv`).
 */
export function schemaCompilerOf(instance, route, endpoint) {
    const own = endpoint.options.validatorCompiler ?? route.validatorCompiler;
    return (scopeCompiler) => (own ?? scopeCompiler ?? messageAjv(instance, endpoint.options.ajv));
}
const buildAjv = AjvCompiler();
/**
 * Ajv for messages. Unlike Fastify's default it neither coerces (null would become '') nor removes (a branch of a
 * union would lose what the next one has), and it uses the discriminator where a union has one.
 */
function messageAjv(instance, ajv) {
    return buildAjv(instance.getSchemas(), {
        plugins: [],
        ...ajv,
        customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true, discriminator: true, addUsedSchema: true, ...ajv?.customOptions }
    });
}
function socketHandler(url, handler) {
    if (typeof handler === 'function' || (typeof handler === 'object' && handler !== null))
        return handler;
    throw new FST_WS_ERR_INVALID_ROUTE(url, 'its handler must be a function, or a map from subprotocol to functions');
}
function withSelection(options, selectSubprotocol) {
    if (selectSubprotocol === undefined)
        return options;
    if (typeof selectSubprotocol !== 'function')
        throw new FST_WS_ERR_INVALID_OPTION('selectSubprotocol', 'a function');
    return Object.freeze({ ...options, selectSubprotocol });
}
/** As Fastify decides about its own lines for a request. */
function requestLogging(instance) {
    const disabled = instance.initialConfig.disableRequestLogging;
    return typeof disabled === 'function' ? (request) => disabled(request) !== true : () => disabled !== true;
}
function isMethod(method, wanted) {
    const methods = Array.isArray(method) ? method : [method];
    return methods.length === 1 && methods[0].toUpperCase() === wanted;
}
