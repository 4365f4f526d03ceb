// gorilla/websocket. It offers permessage-deflate without context takeover, if it is told to.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

type message struct {
	kind int
	data []byte
}

// Text and binary of each size, and text of nothing but characters beyond the BMP.
func messagesOf(sizes string) (messages []message) {
	for _, field := range strings.Split(sizes, ",") {
		size, err := strconv.Atoi(field)
		check(err)
		text := strings.Repeat("aé€😀", size/10) + strings.Repeat("x", size%10)
		binary := make([]byte, size)
		for i := range binary {
			binary[i] = byte(i % 251)
		}
		messages = append(messages, message{websocket.TextMessage, []byte(text)}, message{websocket.BinaryMessage, binary})
	}
	return append(messages, message{websocket.TextMessage, []byte(strings.Repeat("😀𝄞𐍈", 100))})
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

func dial(path string, subprotocols ...string) *websocket.Conn {
	dialer := websocket.Dialer{EnableCompression: true, Subprotocols: subprotocols}
	conn, _, err := dialer.Dial(os.Args[1]+path, nil)
	check(err)
	check(conn.SetReadDeadline(time.Now().Add(60 * time.Second)))
	return conn
}

func read(conn *websocket.Conn) (int, []byte) {
	kind, data, err := conn.ReadMessage()
	check(err)
	return kind, data
}

// Closes, and says with which code the server answered.
func hangUp(conn *websocket.Conn, code int, reason string) int {
	defer conn.Close()
	check(conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason)))
	return closeOf(conn).Code
}

// Reads until the Close of the server.
func closeOf(conn *websocket.Conn) *websocket.CloseError {
	var closed *websocket.CloseError
	for {
		if _, _, err := conn.ReadMessage(); errors.As(err, &closed) {
			return closed
		} else {
			check(err)
		}
	}
}

func echo(path string, messages []message) int {
	conn := dial(path)
	for _, sent := range messages {
		check(conn.WriteMessage(sent.kind, sent.data))
		if kind, data := read(conn); kind != sent.kind || !bytes.Equal(data, sent.data) {
			log.Panicf("%s: kind %d of %d octets came back as another", path, sent.kind, len(sent.data))
		}
	}
	return hangUp(conn, 3001, "that is all")
}

// A writer sends a fragment whenever its buffer is full, here with five octets.
func fragments() string {
	dialer := websocket.Dialer{WriteBufferSize: 5}
	conn, _, err := dialer.Dial(os.Args[1]+"/fragments", nil)
	check(err)
	check(conn.WriteMessage(websocket.TextMessage, []byte("in three parts")))
	_, data := read(conn)
	hangUp(conn, 1000, "")
	return string(data)
}

func pings() string {
	conn := dial("/pings")
	_, seen := read(conn)
	ponged := errors.New("ponged")
	conn.SetPongHandler(func(payload string) error {
		if payload != "from the client" {
			return fmt.Errorf("pong with %q", payload)
		}
		return ponged
	})
	check(conn.WriteControl(websocket.PingMessage, []byte("from the client"), time.Now().Add(10*time.Second)))
	if _, _, err := conn.ReadMessage(); err != ponged {
		log.Panicf("no pong, but %v", err)
	}
	conn.Close()
	return string(seen)
}

func subprotocol() string {
	conn := dial("/subprotocols", "chat.v3", "chat.v2", "chat.v1")
	hangUp(conn, 1000, "")
	return conn.Subprotocol()
}

func closed() []interface{} {
	conn := dial("/closes")
	defer conn.Close()
	closed := closeOf(conn)
	return []interface{}{closed.Code, closed.Text}
}

func refused() int {
	_, response, err := websocket.DefaultDialer.Dial(os.Args[1]+"/refuses", nil)
	if err != websocket.ErrBadHandshake {
		log.Panicf("not refused, but %v", err)
	}
	return response.StatusCode
}

func main() {
	messages := messagesOf(os.Args[2])
	check(json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"client":      "gorilla/websocket, " + runtime.Version(),
		"answered":    []int{echo("/echo", messages), echo("/deflate", messages), echo("/takeover", messages)},
		"fragments":   fragments(),
		"pings":       pings(),
		"subprotocol": subprotocol(),
		"closed":      closed(),
		"refused":     refused(),
	}))
}
