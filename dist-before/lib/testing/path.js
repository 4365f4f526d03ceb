/**
 * The path of a request to a route: parameters put into the registered path (the syntax is find-my-way's), and
 * the query behind it. Nothing here looks at routes or schemas.
 */
import { FST_WS_ERR_INVALID_OPTION } from '../errors.js';
/**
 * Puts parameters into a registered path: `/files/:dir/*` becomes `/files/a%20b/c/d`. Values are percent-encoded, those of
 * a wildcard but for their slashes. An optional parameter at the end, and a wildcard, may be missing.
 *
 * Throws FST_WS_ERR_INVALID_OPTION for a parameter that is missing, and for one that the path does not have.
 */
export function fillParams(pattern, params) {
    const used = new Set();
    const valueOf = (name) => {
        used.add(name);
        return Object.hasOwn(params, name) ? params[name] : undefined;
    };
    let path = '';
    for (let i = 0; i < pattern.length;) {
        if (pattern[i] === '*') {
            path += String(valueOf('*') ?? '').split('/').map(encodeURIComponent).join('/');
            i++;
        }
        else if (pattern[i] !== ':') {
            const end = endOfText(pattern, i);
            path += encodeURI(pattern.slice(i, end));
            i = end;
        }
        else if (pattern[i + 1] === ':') {
            // A colon, and no name.
            path += ':';
            i += 2;
        }
        else {
            const { name, end } = readName(pattern, i + 1);
            const optional = pattern[end] === '?';
            const value = valueOf(name);
            if (value !== undefined)
                path += encodeURIComponent(value);
            else if (optional)
                path = path.slice(0, -1);
            else
                throw new FST_WS_ERR_INVALID_OPTION('params', `an object with '${name}', which the path ${pattern} needs`);
            i = optional ? end + 1 : end;
        }
    }
    const unknown = Object.keys(params).find((name) => !used.has(name));
    if (unknown !== undefined)
        throw new FST_WS_ERR_INVALID_OPTION('params', `an object of the parameters of ${pattern}, which has no '${unknown}'`);
    return path === '' ? '/' : path;
}
/** Puts the query behind a path, which may have one already; an array repeats its name. */
export function withQuery(path, query) {
    const fields = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
        for (const one of Array.isArray(value) ? value : [value]) {
            if (one !== undefined)
                fields.append(name, String(one));
        }
    }
    if (fields.size === 0)
        return path;
    return `${path}${path.includes('?') ? '&' : '?'}${fields}`;
}
/** Where the next name or wildcard begins. */
function endOfText(pattern, start) {
    const length = pattern.slice(start).search(/[:*]/);
    return length === -1 ? pattern.length : start + length;
}
function readName(pattern, start) {
    let end = start;
    while (end < pattern.length && !'/-.(?'.includes(pattern[end]))
        end++;
    const name = pattern.slice(start, end);
    return { name, end: pattern[end] === '(' ? endOfExpression(pattern, end) : end };
}
/** Behind the parenthesis that closes the one at `start`. */
function endOfExpression(pattern, start) {
    let open = 0;
    for (let i = start; i < pattern.length; i++) {
        if (pattern[i] === '\\')
            i++;
        else if (pattern[i] === '(')
            open++;
        else if (pattern[i] === ')' && --open === 0)
            return i + 1;
    }
    return pattern.length;
}
