# The client of Mojolicious. It offers permessage-deflate if the header is there, but reads no parameters in the answer:
# it works with context takeover alone, and so offers nothing on /deflate.
use Mojo::Base -strict, -signatures;

use Mojo::IOLoop;
use Mojo::JSON qw(encode_json);
use Mojo::Promise;
use Mojo::UserAgent;
use Mojo::WebSocket qw(WS_CONTINUATION WS_PING WS_PONG WS_TEXT);
use Mojolicious;
use utf8;

my ($url, $sizes) = @ARGV;
my $ua = Mojo::UserAgent->new(inactivity_timeout => 60);

# What is thrown in a callback would be no more than a warning.
Mojo::IOLoop->singleton->reactor->unsubscribe('error')->on(error => sub ($reactor, $error) { fail($error) });

sub fail ($error) {
  print STDERR "$error\n";
  exit 1;
}

# Text and binary of each size, and text of nothing but characters beyond the BMP.
my @messages = map { (text_of($_), {binary => bytes_of($_)}) } split /,/, $sizes;
push @messages, '😀𝄞𐍈' x 100;

sub text_of ($octets)  { ('aé€😀' x ($octets / 10)) . ('x' x ($octets % 10)) }
sub bytes_of ($octets) { substr join('', map {chr} 0 .. 250) x ($octets / 251 + 1), 0, $octets }

# Runs a connection; what the function hands to the callback is the result.
sub with_socket ($path, $run, $headers = {}, $protocols = []) {
  my $promise = Mojo::Promise->new;
  $ua->websocket(
    $url . $path => $headers => $protocols => sub ($ua, $tx) {
      return $promise->reject("$path: status " . ($tx->res->code // 'none')) unless $tx->is_websocket;
      $tx->max_websocket_size(8 * 1024 * 1024);
      $tx->on(finish => sub ($tx, $code, $reason = undef) { $promise->reject("$path: closed with $code") });
      $run->($tx, sub ($result) { $promise->resolve($result) });
    }
  );
  my $result;
  $promise->then(sub ($value) { $result = $value }, \&fail)->wait;
  return $result;
}

sub echo ($path, $headers = {}) {
  return with_socket($path, sub ($tx, $done) {
    my @expected = @messages;
    my $send_next = sub { $tx->send($expected[0]) };
    my $came = sub ($is_same) {
      die "$path: message ${\(@messages - @expected)} came back as another\n" unless $is_same;
      shift @expected;
      return $send_next->() if @expected;
      # It does not wait for the answer to its Close.
      $tx->finish(3001, 'that is all');
      $done->(undef);
    };
    $tx->on(text   => sub ($tx, $octets) { utf8::decode($octets); $came->(!ref $expected[0] && $octets eq $expected[0]) });
    $tx->on(binary => sub ($tx, $octets) { $came->(ref $expected[0] && $octets eq $expected[0]{binary}) });
    $send_next->();
  }, $headers);
}

sub fragments () {
  return with_socket('/fragments', sub ($tx, $done) {
    $tx->on(message => sub ($tx, $text) { $done->($text); $tx->finish(1000) });
    $tx->send([0, 0, 0, 0, WS_TEXT,         'in ']);
    $tx->send([0, 0, 0, 0, WS_CONTINUATION, 'three ']);
    $tx->send([1, 0, 0, 0, WS_CONTINUATION, 'parts']);
  });
}

sub pings () {
  return with_socket('/pings', sub ($tx, $done) {
    my $seen;
    $tx->on(message => sub ($tx, $text) {
      $seen = $text;
      $tx->send([1, 0, 0, 0, WS_PING, 'from the client']);
    });
    $tx->on(frame => sub ($tx, $frame) {
      return unless $frame->[4] == WS_PONG;
      die "pong with $frame->[5]\n" unless $frame->[5] eq 'from the client';
      $done->($seen);
      $tx->finish(1000);
    });
  });
}

sub subprotocol () {
  return with_socket('/subprotocols', sub ($tx, $done) { $done->($tx->protocol); $tx->finish(1000) }, {}, ['chat.v3', 'chat.v2', 'chat.v1']);
}

sub closed () {
  return with_socket('/closes', sub ($tx, $done) {
    $tx->unsubscribe('finish')->on(finish => sub ($tx, $code, $reason) { $done->([$code, $reason]) });
  });
}

sub refused () {
  my $code;
  $ua->websocket("$url/refuses" => sub ($ua, $tx) { $code = 0 + $tx->res->code unless $tx->is_websocket; Mojo::IOLoop->stop });
  Mojo::IOLoop->start;
  return $code;
}

say encode_json({
  client      => "Mojolicious $Mojolicious::VERSION, Perl " . substr($^V, 1),
  answered    => [echo('/echo'), echo('/deflate'), echo('/takeover', {'Sec-WebSocket-Extensions' => 'permessage-deflate'})],
  fragments   => fragments(),
  pings       => pings(),
  subprotocol => subprotocol(),
  closed      => closed(),
  refused     => refused(),
});
