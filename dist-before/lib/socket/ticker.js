/**
 * The clock of all connections of a server: one timer for each period, however many connections there are, and none
 * while there are none. Time is counted in ticks, so a process that stood still for a minute has not aged its peers by one.
 */
export class Ticker {
    #groups = new Map();
    /** Ticks until `delete`. */
    add(periodMs, member) {
        let group = this.#groups.get(periodMs);
        if (group === undefined) {
            const members = new Set();
            const timer = setInterval(tickAll, periodMs, members);
            // A connection keeps the process alive; its clock need not.
            timer.unref();
            group = { members, timer };
            this.#groups.set(periodMs, group);
        }
        group.members.add(member);
    }
    delete(periodMs, member) {
        const group = this.#groups.get(periodMs);
        if (group === undefined || !group.members.delete(member) || group.members.size > 0)
            return;
        clearInterval(group.timer);
        this.#groups.delete(periodMs);
    }
}
function tickAll(members) {
    for (const member of members)
        member.tick();
}
