/*
 * libwebsockets. It offers no permessage-deflate here: once that is agreed on, Debian's version hands over twice what a
 * server sends uncompressed (its issue 2794). It does not tell how its own Close was answered. One connection after the
 * other, each with a few things to do when something comes.
 */
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGES 64
#define BUFFER_BYTES (8 * 1024 * 1024)

struct message {
  enum lws_write_protocol kind;
  size_t length;
  unsigned char *data;
};

/* The connection that there is, from its handshake to its end. */
struct connection {
  struct lws *wsi;
  const struct message *sending; /* what is still to be sent, */
  size_t count;                  /* and how much of it */
  bool waits;                    /* for the echo of one message before it sends the next, */
  bool is_waiting;               /* as now */
  bool hangs_up;                 /* when all has come back, */
  int code;                      /* with this code, */
  const char *reason;            /* and this reason */
  bool ended;
  int status;                    /* of a refusal */
  char subprotocol[64];
  char text[64];                 /* the last message, if it was short */
  bool ponged;
  int closed_code;               /* of a Close that the server began */
  char closed_reason[126];
};

static struct lws_context *context;
static int port;
static struct message messages[MAX_MESSAGES];
static size_t message_count;
static unsigned char outgoing[LWS_PRE + BUFFER_BYTES];
static unsigned char received[BUFFER_BYTES];
static size_t received_length;

static void fail (const char *path, const char *what) {
  fprintf(stderr, "%s: %s\n", path, what);
  exit(1);
}

static struct message message_of (enum lws_write_protocol kind, size_t length) {
  struct message message = { kind, length, (unsigned char *) malloc(length + 1) };
  return message;
}

static struct message text_message (enum lws_write_protocol kind, const char *text) {
  struct message message = message_of(kind, strlen(text));
  memcpy(message.data, text, message.length);
  return message;
}

/* So many octets that repeat the pattern as often as it fits, and then an x for each that is missing. */
static struct message pattern_message (const char *pattern, size_t length) {
  struct message message = message_of(LWS_WRITE_TEXT, length);
  size_t period = strlen(pattern), at = 0;
  for (; at + period <= length; at += period) memcpy(message.data + at, pattern, period);
  memset(message.data + at, 'x', length - at);
  return message;
}

/* Text and binary of each size, and text of nothing but characters beyond the BMP. */
static void make_messages (char *sizes) {
  for (char *field = strtok(sizes, ","); field != NULL; field = strtok(NULL, ",")) {
    size_t length = strtoul(field, NULL, 10);
    struct message binary = message_of(LWS_WRITE_BINARY, length);
    for (size_t i = 0; i < length; i++) binary.data[i] = (unsigned char) (i % 251);
    messages[message_count++] = pattern_message("aé€😀", length);
    messages[message_count++] = binary;
  }
  messages[message_count++] = pattern_message("😀𝄞𐍈", 100 * strlen("😀𝄞𐍈"));
}

static bool is_echo (struct lws *wsi, const struct message *sent) {
  return lws_frame_is_binary(wsi) == (sent->kind == LWS_WRITE_BINARY) && received_length == sent->length && memcmp(received, sent->data, sent->length) == 0;
}

/* A whole message. Returns whether there is more to do. */
static bool on_message (struct connection *self, struct lws *wsi) {
  if (self->waits) {
    if (!is_echo(wsi, self->sending)) fail("echo", "a message came back as another");
    self->sending++;
    self->count--;
    self->is_waiting = false;
  } else if (received_length < sizeof self->text) {
    memcpy(self->text, received, received_length);
    self->text[received_length] = '\0';
  }
  if (self->count > 0) lws_callback_on_writable(wsi);
  return self->count > 0 || !(self->hangs_up || self->ponged);
}

static int hang_up (struct connection *self, struct lws *wsi) {
  lws_close_reason(wsi, (enum lws_close_status) self->code, (unsigned char *) self->reason, strlen(self->reason));
  return -1;
}

static int on_event (struct lws *wsi, enum lws_callback_reasons event, void *user, void *in, size_t length) {
  struct connection *self = (struct connection *) user;
  switch (event) {
    case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
      lws_hdr_copy(wsi, self->subprotocol, sizeof self->subprotocol, WSI_TOKEN_PROTOCOL);
      break;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      received_length = 0;
      if (self->count > 0) lws_callback_on_writable(wsi);
      else if (self->hangs_up) return hang_up(self, wsi);
      break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      /* It is called unasked too, when the rest of a large message has gone. */
      if (self->count == 0 || self->is_waiting) break;
      /* A copy, for it is masked where it stands; the header goes in front of it. */
      memcpy(outgoing + LWS_PRE, self->sending->data, self->sending->length);
      if (lws_write(wsi, outgoing + LWS_PRE, self->sending->length, self->sending->kind) < 0) fail("lws_write", "failed");
      self->is_waiting = self->waits;
      if (self->waits) break;
      self->sending++;
      if (--self->count > 0) lws_callback_on_writable(wsi);
      break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
      if (lws_is_first_fragment(wsi)) received_length = 0;
      if (received_length + length > BUFFER_BYTES) fail("received", "too much");
      memcpy(received + received_length, in, length);
      received_length += length;
      if (lws_is_final_fragment(wsi) && !on_message(self, wsi)) return hang_up(self, wsi);
      break;
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
      if (length != strlen("from the client") || memcmp(in, "from the client", length) != 0) fail("pong", "with another payload");
      self->ponged = true;
      /* Otherwise when the server has said that its own ping was answered. */
      if (self->text[0] != '\0') return hang_up(self, wsi);
      break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
      self->closed_code = length < 2 ? 1005 : ((unsigned char *) in)[0] << 8 | ((unsigned char *) in)[1];
      if (length > 2) memcpy(self->closed_reason, (char *) in + 2, length - 2);
      break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
      self->status = (int) lws_http_client_http_response(wsi);
      self->ended = true;
      break;
    case LWS_CALLBACK_CLIENT_CLOSED:
      self->ended = true;
      break;
    default:
      break;
  }
  return 0;
}

/* Connects, and returns when the connection has ended. */
static void run (struct connection *self, const char *path, const char *subprotocols) {
  struct lws_client_connect_info info = {
    .context = context, .address = "127.0.0.1", .port = port, .path = path, .host = "127.0.0.1",
    .protocol = subprotocols, .local_protocol_name = "all", .userdata = self, .pwsi = &self->wsi
  };
  if (lws_client_connect_via_info(&info) == NULL) fail(path, "no connection");
  while (!self->ended) if (lws_service(context, 0) < 0) fail(path, "lws_service failed");
}

static void echo (const char *path) {
  struct connection self = { .sending = messages, .count = message_count, .waits = true, .hangs_up = true, .code = 3001, .reason = "that is all" };
  run(&self, path, NULL);
  if (self.count > 0) fail(path, "not all messages came back");
}

int main (int argc, char **argv) {
  static const struct lws_protocols protocols[] = { { "all", on_event, 0, 65536, 0, NULL, 0 }, { NULL, NULL, 0, 0, 0, NULL, 0 } };
  if (argc != 3 || sscanf(argv[1], "ws://127.0.0.1:%d", &port) != 1) fail("usage", "libwebsockets ws://127.0.0.1:<port> <sizes>");
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context_creation_info info = { .port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .uid = -1, .gid = -1 };
  context = lws_create_context(&info);
  make_messages(argv[2]);

  echo("/echo");
  echo("/deflate");
  echo("/takeover");

  struct message parts[] = {
    text_message(LWS_WRITE_TEXT | LWS_WRITE_NO_FIN, "in "),
    text_message(LWS_WRITE_CONTINUATION | LWS_WRITE_NO_FIN, "three "),
    text_message(LWS_WRITE_CONTINUATION, "parts")
  };
  struct connection fragments = { .sending = parts, .count = 3, .hangs_up = true, .code = 1000, .reason = "" };
  run(&fragments, "/fragments", NULL);

  struct message ping[] = { text_message(LWS_WRITE_PING, "from the client") };
  struct connection pings = { .sending = ping, .count = 1, .code = 1000, .reason = "" };
  run(&pings, "/pings", NULL);
  if (!pings.ponged) fail("/pings", "no pong");

  struct connection subprotocols = { .hangs_up = true, .code = 1000, .reason = "" };
  run(&subprotocols, "/subprotocols", "chat.v3,chat.v2,chat.v1");

  struct connection closed = { .ended = false };
  run(&closed, "/closes", NULL);

  struct connection refused = { .ended = false };
  run(&refused, "/refuses", NULL);

  printf(
    "{ \"client\": \"libwebsockets %d.%d.%d, C\", \"answered\": [null, null, null], \"fragments\": \"%s\", \"pings\": \"%s\", \"subprotocol\": \"%s\", \"closed\": [%d, \"%s\"], \"refused\": %d }\n",
    LWS_LIBRARY_VERSION_MAJOR, LWS_LIBRARY_VERSION_MINOR, LWS_LIBRARY_VERSION_PATCH, fragments.text, pings.text, subprotocols.subprotocol, closed.closed_code, closed.closed_reason, refused.status
  );
  lws_context_destroy(context);
  return 0;
}
