/** The key under which a peer with this address is counted; undefined for one without, as on a unix socket. */
export declare function addressKey(address: string | undefined): string | undefined;
