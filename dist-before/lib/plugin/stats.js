/** The counters of one route: of what is over here, of what is open at the connection itself. */
export class Counters {
    opened = 0;
    refused = {};
    closed = {};
    invalidMessages = 0;
    messagesReceived = 0;
    messagesSent = 0;
    bytesReceived = 0;
    bytesSent = 0;
    /** `undefined` if the client has left. */
    onRefused(statusCode) {
        if (statusCode === undefined)
            return;
        this.refused[statusCode] = (this.refused[statusCode] ?? 0) + 1;
    }
    onClosed(connection) {
        this.closed[connection.closeCode] = (this.closed[connection.closeCode] ?? 0) + 1;
        addTraffic(this, connection);
    }
    /** With what is open now. */
    with(open) {
        const stats = { ...this, refused: { ...this.refused }, closed: { ...this.closed }, open: 0, bufferedBytes: 0 };
        for (const [socket, connection] of open) {
            stats.open++;
            stats.bufferedBytes += socket.bufferedAmount;
            addTraffic(stats, connection);
        }
        return stats;
    }
}
function addTraffic(to, { messagesReceived, messagesSent, bytesReceived, output }) {
    to.messagesReceived += messagesReceived;
    to.messagesSent += messagesSent;
    to.bytesReceived += bytesReceived;
    to.bytesSent += output.totalBytes;
}
