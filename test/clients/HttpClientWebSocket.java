import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** The WebSocket of java.net.http, which comes with Java. It knows no extensions. */
class HttpClientWebSocket {
  static final HttpClient HTTP = HttpClient.newHttpClient();
  static String url;

  /** What came: a String, a ByteBuffer, or one of these. */
  record Pong(ByteBuffer payload) {}
  record Close(int code, String reason) {}

  /** A connection whose messages are taken one after the other. */
  static class Client implements WebSocket.Listener {
    final BlockingQueue<Object> received = new LinkedBlockingQueue<>();
    final WebSocket socket;
    private final StringBuilder text = new StringBuilder();
    private ByteBuffer binary = ByteBuffer.allocate(8 * 1024 * 1024);

    Client(String path, String... subprotocols) {
      var builder = HTTP.newWebSocketBuilder();
      if (subprotocols.length > 0) builder.subprotocols(subprotocols[0], List.of(subprotocols).subList(1, subprotocols.length).toArray(String[]::new));
      socket = builder.buildAsync(URI.create(url + path), this).join();
    }

    @Override public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean isLast) {
      text.append(part);
      if (isLast) {
        received.add(text.toString());
        text.setLength(0);
      }
      socket.request(1);
      return null;
    }

    @Override public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part, boolean isLast) {
      binary.put(part);
      if (isLast) {
        received.add(ByteBuffer.wrap(java.util.Arrays.copyOf(binary.array(), binary.position())));
        binary.clear();
      }
      socket.request(1);
      return null;
    }

    @Override public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
      received.add(new Pong(ByteBuffer.allocate(payload.remaining()).put(payload).flip()));
      socket.request(1);
      return null;
    }

    /** The answer to a Close is sent by itself when this returns. */
    @Override public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
      received.add(new Close(code, reason));
      return null;
    }

    @Override public void onError(WebSocket socket, Throwable error) {
      received.add(error);
    }

    void send(Object message) {
      if (message instanceof String text) socket.sendText(text, true).join();
      else socket.sendBinary(((ByteBuffer) message).duplicate(), true).join();
    }

    Object next() throws Exception {
      var next = received.poll(60, TimeUnit.SECONDS);
      if (next == null) throw new Exception("nothing came");
      if (next instanceof Throwable error) throw new Exception(error);
      return next;
    }

    /** Closes; returns the server's code. */
    int close(int code, String reason) throws Exception {
      socket.sendClose(code, reason).join();
      return ((Close) next()).code();
    }
  }

  /** Text and binary of each size, and text of nothing but characters beyond the BMP. */
  static List<Object> messagesOf(String sizes) {
    var messages = new ArrayList<Object>();
    for (var field : sizes.split(",")) {
      var size = Integer.parseInt(field);
      messages.add("aé€😀".repeat(size / 10) + "x".repeat(size % 10));
      var binary = ByteBuffer.allocate(size);
      for (var i = 0; i < size; i++) binary.put((byte) (i % 251));
      messages.add(binary.flip());
    }
    messages.add("😀𝄞𐍈".repeat(100));
    return messages;
  }

  static int echo(String path, List<Object> messages) throws Exception {
    var client = new Client(path);
    for (var message : messages) {
      client.send(message);
      if (!client.next().equals(message)) throw new Exception(path + ": came back as another: message " + messages.indexOf(message));
    }
    return client.close(3001, "that is all");
  }

  static Object fragments() throws Exception {
    var client = new Client("/fragments");
    client.socket.sendText("in ", false).join();
    client.socket.sendText("three ", false).join();
    client.socket.sendText("parts", true).join();
    var received = client.next();
    client.close(1000, "");
    return received;
  }

  static Object pings() throws Exception {
    var client = new Client("/pings");
    var seen = client.next();
    var payload = ByteBuffer.wrap("from the client".getBytes());
    client.socket.sendPing(payload.duplicate()).join();
    if (!client.next().equals(new Pong(payload))) throw new Exception("another pong");
    client.close(1000, "");
    return seen;
  }

  static String subprotocol() throws Exception {
    var client = new Client("/subprotocols", "chat.v3", "chat.v2", "chat.v1");
    client.close(1000, "");
    return client.socket.getSubprotocol();
  }

  static int refused() throws Exception {
    try {
      new Client("/refuses");
      throw new Exception("not refused");
    } catch (CompletionException error) {
      return ((WebSocketHandshakeException) error.getCause()).getResponse().statusCode();
    }
  }

  public static void main(String[] args) throws Exception {
    url = args[0];
    var messages = messagesOf(args[1]);
    var answered = new ArrayList<Integer>();
    for (var path : List.of("/echo", "/deflate", "/takeover")) answered.add(echo(path, messages));
    var closed = (Close) new Client("/closes").next();
    System.out.printf(
      "{ \"client\": \"java.net.http, Java %s\", \"answered\": [%s], \"fragments\": \"%s\", \"pings\": \"%s\", \"subprotocol\": \"%s\", \"closed\": [%d, \"%s\"], \"refused\": %d }%n",
      System.getProperty("java.version"), answered.stream().map(String::valueOf).collect(Collectors.joining(", ")),
      fragments(), pings(), subprotocol(), closed.code(), closed.reason(), refused());
  }
}
