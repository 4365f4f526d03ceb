/**
 * The listeners of the WHATWG interface, `addEventListener` and the `on…` attributes, on top of an EventEmitter:
 * both kinds stand in one list and are called in the order in which they were added.
 */
import { EventEmitter } from 'node:events';
import { CloseEvent, ErrorEvent, MessageEvent, SocketEvent } from './events.js';
export class EventTargetEmitter extends EventEmitter {
    addEventListener(type, listener, options = {}) {
        const { once = false, signal } = typeof options === 'object' ? options : {};
        if (listener === null || !isEventType(type) || signal?.aborted === true || this.#wrapperOf(type, listener) !== undefined)
            return;
        const wrapper = this.#wrap(type, listener, false);
        if (once)
            this.once(type, wrapper);
        else
            this.on(type, wrapper);
        if (signal === undefined)
            return;
        const onAbort = () => { this.removeListener(type, wrapper); };
        signal.addEventListener('abort', onAbort, { once: true });
        // The signal may live longer than the connection, and must not keep it.
        this.once('close', () => signal.removeEventListener('abort', onAbort));
    }
    removeEventListener(type, listener) {
        const wrapper = listener === null ? undefined : this.#wrapperOf(type, listener);
        if (wrapper !== undefined)
            this.removeListener(type, wrapper);
    }
    get onopen() { return this.#attribute('onopen'); }
    set onopen(listener) { this.#setAttribute('onopen', listener); }
    get onmessage() { return this.#attribute('onmessage'); }
    set onmessage(listener) { this.#setAttribute('onmessage', listener); }
    get onerror() { return this.#attribute('onerror'); }
    set onerror(listener) { this.#setAttribute('onerror', listener); }
    get onclose() { return this.#attribute('onclose'); }
    set onclose(listener) { this.#setAttribute('onclose', listener); }
    #attribute(name) {
        return this.#wrappers(name.slice(2)).find((wrapper) => wrapper.attribute)?.original ?? null;
    }
    #setAttribute(name, listener) {
        const type = name.slice(2);
        const old = this.#wrappers(type).find((wrapper) => wrapper.attribute);
        if (old !== undefined)
            this.removeListener(type, old);
        if (typeof listener === 'function')
            this.on(type, this.#wrap(type, listener, true));
    }
    #wrapperOf(type, listener) {
        return this.#wrappers(type).find((wrapper) => wrapper.original === listener && !wrapper.attribute);
    }
    #wrappers(type) {
        return this.listeners(type).filter((listener) => 'original' in listener && 'attribute' in listener);
    }
    #wrap(type, listener, attribute) {
        // What the listener returns goes back to the emitter, which looks after a promise that rejects.
        const call = (...args) => {
            const event = this.#eventFor(type, args);
            return typeof listener === 'function' ? listener.call(this, event) : listener.handleEvent(event);
        };
        return Object.assign(call, { original: listener, attribute });
    }
    #eventFor(type, [first, second]) {
        switch (type) {
            case 'message': return new MessageEvent(this, this.textIsOctets && second === false ? first.toString() : first);
            case 'close': return new CloseEvent(this, first, second.toString(), this.closedCleanly);
            case 'error': return new ErrorEvent(this, first);
            default: return new SocketEvent(type, this);
        }
    }
}
function isEventType(type) {
    return type === 'open' || type === 'message' || type === 'error' || type === 'close';
}
