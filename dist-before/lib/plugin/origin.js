import { synchronous } from './options.js';
const DEFAULT_PORTS = new Map([['http:', ':80'], ['https:', ':443']]);
/** Whether the option lets this request in; `origin` is the value of its Origin header. */
export function isOriginAllowed(option, origin, request) {
    // §4.2.1: no Origin, no browser. Whoever can leave it out can also make it up.
    if (origin === undefined || option === true)
        return true;
    // The opaque origin of sandboxed frames and files: anybody can have it.
    if (origin === 'null')
        return false;
    if (typeof option === 'function')
        return synchronous('origin', option(origin, request), request.log) === true;
    if (option === 'same-origin')
        return isSameOrigin(origin, request);
    return option.includes(origin);
}
function isSameOrigin(origin, request) {
    if (!URL.canParse(origin))
        return false;
    const { protocol, host, origin: serialized } = new URL(origin);
    const defaultPort = DEFAULT_PORTS.get(protocol);
    if (defaultPort === undefined || serialized !== origin.toLowerCase())
        return false;
    // A page that came over http is not of the origin that this request, known to be secure, belongs to.
    if (protocol === 'http:' && request.protocol === 'https')
        return false;
    const requestHost = request.host.toLowerCase();
    return host === (requestHost.endsWith(defaultPort) ? requestHost.slice(0, -defaultPort.length) : requestHost);
}
