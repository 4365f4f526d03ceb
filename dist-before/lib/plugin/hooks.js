import { FST_WS_ERR_INVALID_OPTION } from '../errors.js';
const kHooks = Symbol('fastify-duplex.hooks');
/** Throws FST_WS_ERR_INVALID_OPTION for a name that is no hook, or what is no function. */
export function addWebSocketHook(name, hook) {
    if (name !== 'onOpen' && name !== 'onClose')
        throw new FST_WS_ERR_INVALID_OPTION('name', "'onOpen' or 'onClose'");
    if (typeof hook !== 'function')
        throw new FST_WS_ERR_INVALID_OPTION(name, 'a function');
    const scope = this;
    if (!Object.hasOwn(scope, kHooks))
        inheritHooks(scope);
    scope[kHooks][name].push(hook);
    return this;
}
/** An `onRegister` hook: a scope has what the one above had when it was made. */
export function inheritHooks(scope) {
    const { onOpen, onClose } = hooksOf(scope);
    scope[kHooks] = { onOpen: [...onOpen], onClose: [...onClose] };
}
/** The hooks of a scope, when it is loaded. */
export function hooksOf(scope) {
    return scope[kHooks] ?? { onOpen: [], onClose: [] };
}
