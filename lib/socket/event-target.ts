/**
 * The listeners of the WHATWG interface, `addEventListener` and the `on…` attributes, on top of an EventEmitter:
 * both kinds stand in one list and are called in the order in which they were added.
 */
import { EventEmitter } from 'node:events'
import { CloseEvent, ErrorEvent, MessageEvent, SocketEvent } from './events.ts'

export interface EventMap<Data, Target> {
  open: SocketEvent<Target>
  message: MessageEvent<Data, Target>
  error: ErrorEvent<Target>
  close: CloseEvent<Target>
}

export type EventListener<E, Target> = ((this: Target, event: E) => unknown) | { handleEvent (event: E): unknown }

export interface AddEventListenerOptions {
  readonly once?: boolean
  readonly signal?: AbortSignal
}

type AnyListener = EventListener<any, any>
type Attribute = 'onopen' | 'onmessage' | 'onerror' | 'onclose'

/** A listener of the emitter that makes the event object and hands it to the one it stands for. */
interface Wrapper {
  (...args: any[]): unknown
  // Not `listener`, by which the emitter would take it for a wrapper of its own `once`.
  readonly original: AnyListener
  readonly attribute: boolean
}

export abstract class EventTargetEmitter<Data> extends EventEmitter {
  /** Whether text comes as octets, which an event shows as a string. */
  protected abstract readonly textIsOctets: boolean
  protected abstract readonly closedCleanly: boolean

  /** As in the DOM: a listener that is there already is not added again, and null is ignored. */
  addEventListener<K extends keyof EventMap<Data, this>> (type: K, listener: EventListener<EventMap<Data, this>[K], this> | null, options: AddEventListenerOptions | boolean = {}): void {
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

  removeEventListener<K extends keyof EventMap<Data, this>> (type: K, listener: EventListener<EventMap<Data, this>[K], this> | null): void {
    const wrapper = listener === null ? undefined : this.#wrapperOf(type, listener)
    if (wrapper !== undefined) this.removeListener(type, wrapper)
  }

  get onopen (): ((this: this, event: SocketEvent<this>) => unknown) | null { return this.#attribute('onopen') }
  set onopen (listener: ((this: this, event: SocketEvent<this>) => unknown) | null) { this.#setAttribute('onopen', listener) }

  get onmessage (): ((this: this, event: MessageEvent<Data, this>) => unknown) | null { return this.#attribute('onmessage') }
  set onmessage (listener: ((this: this, event: MessageEvent<Data, this>) => unknown) | null) { this.#setAttribute('onmessage', listener) }

  get onerror (): ((this: this, event: ErrorEvent<this>) => unknown) | null { return this.#attribute('onerror') }
  set onerror (listener: ((this: this, event: ErrorEvent<this>) => unknown) | null) { this.#setAttribute('onerror', listener) }

  get onclose (): ((this: this, event: CloseEvent<this>) => unknown) | null { return this.#attribute('onclose') }
  set onclose (listener: ((this: this, event: CloseEvent<this>) => unknown) | null) { this.#setAttribute('onclose', listener) }

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
      case 'message': return new MessageEvent(this, this.textIsOctets && second === false ? first.toString() : first)
      case 'close': return new CloseEvent(this, first, second.toString(), this.closedCleanly)
      case 'error': return new ErrorEvent(this, first)
      default: return new SocketEvent(type, this)
    }
  }
}

function isEventType (type: string): boolean {
  return type === 'open' || type === 'message' || type === 'error' || type === 'close'
}
