/**
 * The listeners of the WHATWG interface, `addEventListener` and the `on…` attributes, on top of an EventEmitter:
 * both kinds stand in one list and are called in the order in which they were added.
 */
import { EventEmitter } from 'node:events';
import { CloseEvent, ErrorEvent, MessageEvent, SocketEvent } from './events.ts';
/** The type of a method, which is bivariant: an attribute of the plain one would keep a socket from being assignable to a wider one. */
type Handler<E> = {
    handle(event: E): unknown;
}['handle'];
type EventType = 'open' | 'message' | 'error' | 'close';
export type EventListener<E> = ((event: E) => unknown) | {
    handleEvent(event: E): unknown;
};
export interface AddEventListenerOptions {
    readonly once?: boolean;
    readonly signal?: AbortSignal;
}
export declare abstract class EventTargetEmitter<Data, AnyData> extends EventEmitter {
    #private;
    /** Whether text comes as octets, which an event shows as a string. */
    protected abstract readonly textIsOctets: boolean;
    protected abstract readonly closedCleanly: boolean;
    /** As in the DOM: a listener that is there already is not added again, and null is ignored. */
    addEventListener(type: 'message', listener: EventListener<MessageEvent<Data>> | null, options?: AddEventListenerOptions | boolean): void;
    addEventListener(type: 'message', listener: EventListener<MessageEvent<AnyData>> | null, options?: AddEventListenerOptions | boolean): void;
    addEventListener(type: 'close', listener: EventListener<CloseEvent> | null, options?: AddEventListenerOptions | boolean): void;
    addEventListener(type: 'error', listener: EventListener<ErrorEvent> | null, options?: AddEventListenerOptions | boolean): void;
    addEventListener(type: 'open', listener: EventListener<SocketEvent> | null, options?: AddEventListenerOptions | boolean): void;
    addEventListener<Type extends EventType>(type: Type, listener: EventListener<SocketEvent> | null, options?: AddEventListenerOptions | boolean): void;
    removeEventListener(type: EventType, listener: EventListener<any> | null): void;
    get onopen(): Handler<SocketEvent> | null;
    set onopen(listener: Handler<SocketEvent> | null);
    get onmessage(): Handler<MessageEvent<Data>> | null;
    set onmessage(listener: Handler<MessageEvent<Data>> | null);
    get onerror(): Handler<ErrorEvent> | null;
    set onerror(listener: Handler<ErrorEvent> | null);
    get onclose(): Handler<CloseEvent> | null;
    set onclose(listener: Handler<CloseEvent> | null);
}
export {};
