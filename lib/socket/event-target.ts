/**
 * The listeners of the WHATWG interface, `addEventListener` and the `on…` attributes, on top of an EventEmitter:
 * both kinds stand in one list and are called in the order in which they were added.
 */
import { EventEmitter } from 'node:events'
import { CloseEvent, ErrorEvent, MessageEvent, SocketEvent } from './events.ts'

/** The value of an `on…` attribute. Reading one gives any: else no socket could be taken for one of a wider type, or of `ws`. */
type Handler<E> = ((event: E) => unknown) | null

type EventType = 'open' | 'message' | 'error' | 'close'

export type EventListener<E> = ((event: E) => unknown) | { handleEvent (event: E): unknown }

export interface AddEventListenerOptions {
  readonly once?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

type AnyListener = EventListener<any>
type Attribute = 'onopen' | 'onmessage' | 'onerror' | 'onclose'

/** A listener of the emitter that makes the event object and hands it to the one it stands for. */
interface Wrapper {
  (...args: any[]): unknown
  // Not `listener`, by which the emitter would take it for a wrapper of its own `once`.
  readonly original: AnyListener
  readonly attribute: boolean
}

export abstract class EventTargetEmitter<Data, AnyData> extends EventEmitter {
  /** Whether text comes as octets, which an event shows as a string. */
  protected abstract readonly textIsOctets: boolean
  protected abstract readonly closedCleanly: boolean

  /** As in the DOM: a listener that is there already is not added again, and null is ignored. */
  addEventListener (type: 'message', listener: EventListener<MessageEvent<Data>> | null, options?: AddEventListenerOptions | boolean): void
  addEventListener (type: 'message', listener: EventListener<MessageEvent<AnyData>> | null, options?: AddEventListenerOptions | boolean): void
  addEventListener (type: 'close', listener: EventListener<CloseEvent> | null, options?: AddEventListenerOptions | boolean): void
  addEventListener (type: 'error', listener: EventListener<ErrorEvent> | null, options?: AddEventListenerOptions | boolean): void
  addEventListener (type: 'open', listener: EventListener<SocketEvent> | null, options?: AddEventListenerOptions | boolean): void
  addEventListener<Type extends EventType> (type: Type, listener: EventListener<SocketEvent> | null, options?: AddEventListenerOptions | boolean): void
  addEventListener (type: string, listener: AnyListener | null, options: AddEventListenerOptions | boolean = {}): void {
    const { once = false, signal } = typeof options === 'object' ? options : {}
    if (listener === null || !isEventType(type) || signal?.aborted === true || this.#wrapperOf(type, listener) !== undefined) return
    const wrapper = this.#wrap(type, listener, false)
    if (once) this.once(type, wrapper)
    else this.on(type, wrapper)
    if (signal === undefined) return
    const onAbort = (): void => { this.removeListener(type, wrapper) }
    signal.addEventListener('abort', onAbort, { once: true })
    // The signal may live longer than the connection, and must not keep it.
    this.once('close', () => signal.removeEventListener('abort', onAbort))
  }

  removeEventListener (type: EventType, listener: EventListener<any> | null): void {
    const wrapper = listener === null ? undefined : this.#wrapperOf(type, listener)
    if (wrapper !== undefined) this.removeListener(type, wrapper)
  }

  get onopen (): any { return this.#attribute('onopen') }
  set onopen (listener: Handler<SocketEvent>) { this.#setAttribute('onopen', listener) }

  get onmessage (): any { return this.#attribute('onmessage') }
  set onmessage (listener: Handler<MessageEvent<Data>>) { this.#setAttribute('onmessage', listener) }

  get onerror (): any { return this.#attribute('onerror') }
  set onerror (listener: Handler<ErrorEvent>) { this.#setAttribute('onerror', listener) }

  get onclose (): any { return this.#attribute('onclose') }
  set onclose (listener: Handler<CloseEvent>) { this.#setAttribute('onclose', listener) }

  #attribute (name: Attribute): any {
    return this.#wrappers(name.slice(2)).find((wrapper) => wrapper.attribute)?.original ?? null
  }

  #setAttribute (name: Attribute, listener: unknown): void {
    const type = name.slice(2)
    const old = this.#wrappers(type).find((wrapper) => wrapper.attribute)
    if (old !== undefined) this.removeListener(type, old)
    if (typeof listener === 'function') this.on(type, this.#wrap(type, listener as AnyListener, true))
  }

  #wrapperOf (type: string, listener: AnyListener): Wrapper | undefined {
    return this.#wrappers(type).find((wrapper) => wrapper.original === listener && !wrapper.attribute)
  }

  #wrappers (type: string): Wrapper[] {
    return this.listeners(type).filter((listener): listener is Wrapper => 'original' in listener && 'attribute' in listener)
  }

  #wrap (type: string, listener: AnyListener, attribute: boolean): Wrapper {
    // What the listener returns goes back to the emitter, which looks after a promise that rejects.
    const call = (...args: any[]): unknown => {
      const event = this.#eventFor(type, args)
      return typeof listener === 'function' ? listener.call(this, event) : listener.handleEvent(event)
    }
    return Object.assign(call, { original: listener, attribute })
  }

  #eventFor (type: string, [first, second]: any[]): SocketEvent {
    switch (type) {
      case 'message': return new MessageEvent(this, this.textIsOctets && second !== true ? String(first) : first)
      case 'close': return new CloseEvent(this, first, second.toString(), this.closedCleanly)
      case 'error': return new ErrorEvent(this, first)
      default: return new SocketEvent(type, this)
    }
  }
}

function isEventType (type: string): boolean {
  return type === 'open' || type === 'message' || type === 'error' || type === 'close'
}
