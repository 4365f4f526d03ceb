/**
 * Message schemas, compiled once by the compiler that is passed in: Fastify's own signature, so that Ajv,
 * TypeBox, zod and whatever else an application has set all work, and all four forms of their results.
 *
 * It knows neither routes nor close codes. What it reports about a message is bounded and spells only names
 * that stand in the schema: a peer must not be able to write into a log, nor to make a log line grow.
 */
import { FST_WS_ERR_ASYNC_VALIDATOR, FST_WS_ERR_INVALID_SCHEMA } from '../errors.js';
/** Thrown by `Validator.validate` for a message that does not fit: no Error, since every caller turns it into one of its own. */
export class ValidationFault {
    /** At most `MAX_TEXT_BYTES`; names fields and rules, no values. */
    text;
    /** Bounded copies of what the compiler reported. */
    errors;
    /** What the application's `schemaErrorFormatter` made of it. */
    cause;
    constructor(text, errors, cause) {
        this.text = shorten(text);
        this.errors = errors;
        this.cause = cause;
    }
}
/** With the words that the error table puts before it, a text stays below 1 KiB. */
export const MAX_TEXT_BYTES = 900;
// E2, E9: compilers that collect every error give one for each item of an array, and paths hold the peer's keys.
const MAX_ENTRIES = 16;
const MAX_STRING_LENGTH = 256;
const MAX_DEPTH = 6;
/** The text, cut at a whole character so that it takes at most `MAX_TEXT_BYTES` in UTF-8. */
export function shorten(text) {
    const { read } = new TextEncoder().encodeInto(text, new Uint8Array(MAX_TEXT_BYTES));
    return read === text.length ? text : `${text.slice(0, read)}…`;
}
/** Compiles one schema. A bad one, and a compiler that works asynchronously, throw here and so stop the start. */
export function compileValidator(compiler, schema, options) {
    const { method, url, direction, what } = options;
    let compiled;
    let names;
    try {
        compiled = compiler({ schema, method, url, httpPart: 'body' });
        names = namesIn(schema);
    }
    catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw Object.assign(new FST_WS_ERR_INVALID_SCHEMA(direction, what, shorten(reason)), { cause: error });
    }
    // Ajv marks the function that it makes of an `$async` schema.
    if (isThenable(compiled) || compiled?.$async === true) {
        throw asyncValidator(compiled, options);
    }
    if (typeof compiled !== 'function') {
        throw new FST_WS_ERR_INVALID_SCHEMA(direction, what, 'the compiler returned no function');
    }
    return new Validator(compiled, names, options);
}
/** One compiled schema. */
export class Validator {
    #compiled;
    #options;
    #names;
    // Ajv coerces and replaces a value where it hangs; a whole message hangs on this, as a body hangs on Fastify's request.
    #parent;
    #context;
    constructor(compiled, names, options) {
        this.#compiled = compiled;
        this.#options = options;
        this.#names = names;
        if ('schemaEnv' in compiled) {
            this.#parent = { message: undefined };
            this.#context = { parentData: this.#parent, parentDataProperty: 'message' };
        }
    }
    /**
     * Returns the message to deliver: the same one, perhaps with defaults filled in, or the one that the
     * compiler made of it. Throws a `ValidationFault` if it does not fit; whatever else it throws is a fault
     * of the application's validator. A valid message costs no allocation of ours.
     */
    validate(message) {
        const parent = this.#parent;
        let result;
        try {
            if (parent === undefined) {
                result = this.#compiled(message);
            }
            else {
                parent.message = message;
                result = this.#compiled(message, this.#context);
                message = parent.message;
            }
        }
        catch (error) {
            // A recursive schema follows a message as deep as it goes: the peer, not the schema, chose the depth.
            if (error instanceof RangeError)
                throw new ValidationFault('message is nested too deeply', []);
            throw error;
        }
        finally {
            if (parent !== undefined)
                parent.message = undefined;
        }
        if (result === true)
            return message;
        if (result === false)
            throw this.#fault(this.#compiled.errors);
        if (typeof result !== 'object' || result === null)
            return message;
        if (isThenable(result))
            throw asyncValidator(result, this.#options);
        const { error } = result;
        if (error)
            throw this.#fault(error);
        return 'value' in result ? result.value : message;
    }
    #fault(reported) {
        // Joi and others report one Error. As in Fastify it speaks for itself and does not go through the formatter.
        if (reported instanceof Error)
            return new ValidationFault(reported.message, [{ instancePath: '', message: bounded(reported.message, 0) }]);
        const errors = Array.isArray(reported) ? bounded(reported, MAX_DEPTH) : [];
        const format = this.#options.schemaErrorFormatter;
        if (format === undefined)
            return new ValidationFault(this.#text(errors), errors);
        const formatted = format(errors, 'message');
        return new ValidationFault(formatted.message, errors, formatted);
    }
    /** As Fastify words its 400, "message/user/name must be string", but for keys that the schema does not name. */
    #text(errors) {
        if (errors.length === 0)
            return 'message does not fit the schema';
        return errors.map((error) => {
            const { instancePath = '', message = 'is not valid', keyword } = Object(error);
            const path = instancePath.split('/').map((name) => name === '' || /^\d{1,9}$/.test(name) || this.#names.has(name) ? name : '*').join('/');
            // The only text among those of Ajv, TypeBox and zod that quotes what the peer sent.
            return `message${path} ${keyword === 'unrecognized_keys' ? 'has unrecognized keys' : message}`;
        }).join(', ');
    }
}
/** All keys that a schema spells, whatever its library: those of `properties` among them. */
function namesIn(schema) {
    const names = new Set();
    const nodes = new Set([schema]);
    // A Set hands out what is added while it is walked, and each node once: schemas may be circular.
    for (const node of nodes) {
        if (typeof node !== 'object' || node === null)
            continue;
        for (const [key, value] of Object.entries(node)) {
            names.add(key);
            nodes.add(value);
        }
    }
    return names;
}
/**
 * A copy whose size does not depend on the message; instances of classes stay what they are. Objects keep
 * their symbols, by which zod's provider knows its own.
 */
function bounded(value, depth) {
    if (typeof value === 'string')
        return value.length > MAX_STRING_LENGTH ? `${value.slice(0, MAX_STRING_LENGTH)}…` : value;
    if (Array.isArray(value))
        return depth === 0 ? [] : value.slice(0, MAX_ENTRIES).map((item) => bounded(item, depth - 1));
    if (!isPlainObject(value))
        return value;
    if (depth === 0)
        return {};
    const copy = { ...value };
    for (const [index, key] of Object.keys(copy).entries()) {
        if (index < MAX_ENTRIES)
            copy[key] = bounded(copy[key], depth - 1);
        else
            delete copy[key];
    }
    return copy;
}
/** An object literal or parsed JSON: what may be copied key by key. */
export function isPlainObject(value) {
    if (typeof value !== 'object' || value === null)
        return false;
    const prototype = Object.getPrototypeOf(value);
    return prototype === Object.prototype || prototype === null;
}
/** Whether it can be awaited, whoever made it. */
export function isThenable(value) {
    return typeof value === 'object' && value !== null && typeof value.then === 'function';
}
function asyncValidator(result, options) {
    if (isThenable(result))
        ignoreRejection(result);
    return new FST_WS_ERR_ASYNC_VALIDATOR(options.what);
}
/** Nobody will wait for this promise; its rejection must not end the process. */
export function ignoreRejection(promise) {
    promise.then(undefined, () => { });
}
