// Echoes every message with libwebsockets. Arguments: port, and for TLS the files of certificate and key.

#include <libwebsockets.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// A message is echoed when it is whole. Until it has left, no other is received.
struct connection {
	unsigned char *bytes; // after LWS_PRE bytes for the header
	size_t length, capacity;
	bool text, whole;
};

static int receive(struct lws *wsi, struct connection *c, const void *in, size_t n)
{
	if (lws_is_first_fragment(wsi)) {
		c->length = 0;
		c->text = !lws_frame_is_binary(wsi);
	}
	if (c->length + n > c->capacity) {
		size_t capacity = 2 * (c->length + n);
		unsigned char *larger = realloc(c->bytes, LWS_PRE + capacity);
		if (larger == NULL)
			return -1;
		c->bytes = larger;
		c->capacity = capacity;
	}
	if (n > 0)
		memcpy(c->bytes + LWS_PRE + c->length, in, n);
	c->length += n;
	if (lws_is_final_fragment(wsi)) {
		c->whole = true;
		lws_rx_flow_control(wsi, 0);
		lws_callback_on_writable(wsi);
	}
	return 0;
}

static int on_websocket(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct connection *c = user;
	switch (reason) {
	case LWS_CALLBACK_RECEIVE:
		return receive(wsi, c, in, n);
	case LWS_CALLBACK_SERVER_WRITEABLE: // also after a pong
		if (!c->whole)
			return 0;
		if (lws_write(wsi, c->bytes + LWS_PRE, c->length, c->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY) < 0)
			return -1;
		c->whole = false;
		lws_rx_flow_control(wsi, 1);
		return 0;
	case LWS_CALLBACK_CLOSED:
		free(c->bytes);
		return 0;
	default:
		return 0;
	}
}

int main(int argc, char **argv)
{
	const struct lws_protocols protocols[] = {
		{.name = "http", .callback = lws_callback_http_dummy},
		{.name = "chat", .callback = on_websocket, .per_session_data_size = sizeof(struct connection)},
		{0},
	};
	const struct lws_extension extensions[] = {
		{"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate"},
		{0},
	};
	struct lws_context_creation_info info = {
		.port = atoi(argv[1]),
		.iface = "127.0.0.1",
		.protocols = protocols,
		.extensions = extensions,
	};
	if (argc == 4) {
		info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
		info.ssl_cert_filepath = argv[2];
		info.ssl_private_key_filepath = argv[3];
	}
	lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
	struct lws_context *context = lws_create_context(&info);
	if (context == NULL)
		return 1;
	while (lws_service(context, 0) >= 0)
		;
	return 1;
}
