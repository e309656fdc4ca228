// Package record reads and writes recordings of WebSocket connections: what both sides sent, and when.
//
// A recording is a file of lines, each a JSON object in UTF-8. A connection begins with a line that has a
// "format":
//
//	{"format":"websock recording","version":1,"start":"2026-01-02T03:04:05.678Z","url":"wss://example.com/feed","subprotocol":"v1"}
//
// "start" is when the connection was open. The subprotocol is left out if none was agreed on. The values in
// the query of the URL are replaced by xxxxx unless the user asked for them, and then "query_hidden" is true.
//
// Each of the lines that follow is a message, a ping, a pong or the end of the connection:
//
//	{"time":0.000182,"from":"client","type":"text","text":"hello"}
//	{"time":0.019054,"from":"server","type":"binary","binary":"AP8="}
//	{"time":30.000914,"from":"server","type":"ping","binary":""}
//	{"time":61.200001,"from":"server","type":"close","code":1001,"reason":"restart"}
//
// "time" is in seconds since the start, and never less than that of the line before. "from" is who sent it:
// client or server. "type" is text, binary, ping, pong, close or lost. The content of a text message is
// "text", all other content is "binary", in base64. A close has the code and the reason of the first close
// frame; without a code, the frame had none. A connection that is lost ends without a close frame. Nothing
// follows the end, but a file may have several connections, each with its first line. Readers ignore keys
// that they don't know.
//
// The unit is the message, not the frame: fragments and compression are left to those who replay it, and a
// recording can be written and changed by hand or with tools for JSON.
//
// Each line is written at once, with one write. So a recording of a program that was killed is complete up
// to its end, and only the last line may be cut off: readers ignore it.
package record
