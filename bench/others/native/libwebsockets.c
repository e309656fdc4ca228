// The client of libwebsockets: one service thread, and OpenSSL.

#include "work.h"

#include <libwebsockets.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Per-connection data, which libwebsockets allocates.
struct connection {
	size_t received; // bytes of a message of which more will come
	int unsent;      // messages
};

static struct lws_context *context;
static struct lws **connections;
static size_t open_connections;
static unsigned char *out; // a message after room for its header; libwebsockets masks it in place

static void dial(void);
static void start(void);
static const struct client client = {dial, start};

static void check_compression(struct lws *wsi)
{
	char agreed[256] = "";
	bool fresh = work.compression == COMPRESSION_FRESH;
	lws_hdr_copy(wsi, agreed, sizeof agreed, WSI_TOKEN_EXTENSIONS);
	if ((agreed[0] != '\0') != (work.compression != COMPRESSION_NONE)
	    || (strstr(agreed, "client_no_context_takeover") != NULL) != fresh
	    || (strstr(agreed, "server_no_context_takeover") != NULL) != fresh)
		fail("agreed on extensions: \"%s\"", agreed);
}

// Compressed messages get a buffer for the whole of one. The fastest level is the default.
static void set_deflate_buffers(struct lws *wsi)
{
	char power[4];
	int n = 10;
	while (n < 15 && (size_t)1 << n < work.size)
		n++;
	lws_snprintf(power, sizeof power, "%d", n);
	lws_set_extension_option(wsi, "permessage-deflate", "rx_buf_size", power);
	lws_set_extension_option(wsi, "permessage-deflate", "tx_buf_size", power);
}

static void opened(struct lws *wsi)
{
	if (work.compression != COMPRESSION_NONE)
		set_deflate_buffers(wsi);
	connections = realloc(connections, (open_connections + 1) * sizeof *connections);
	connections[open_connections++] = wsi;
	connection_opened(&client);
}

static void received(struct lws *wsi, struct connection *c, size_t n)
{
	c->received += n;
	if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
		return;
	bool again = message_received(c->received);
	c->received = 0;
	if (again) {
		c->unsent++;
		lws_callback_on_writable(wsi);
	}
}

static void write_messages(struct lws *wsi, struct connection *c)
{
	while (c->unsent > 0) {
		memcpy(out + LWS_PRE, next_message(), work.size);
		if (lws_write(wsi, out + LWS_PRE, work.size, LWS_WRITE_BINARY) < (int)work.size)
			fail("sending failed");
		if (--c->unsent > 0 && lws_send_pipe_choked(wsi)) {
			lws_callback_on_writable(wsi);
			return;
		}
	}
}

static int on_websocket(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	switch (reason) {
	case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
		check_compression(wsi);
		break;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		opened(wsi);
		break;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		received(wsi, user, n);
		break;
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		write_messages(wsi, user);
		break;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		fail("connecting: %s", in == NULL ? "no reason" : (char *)in);
	case LWS_CALLBACK_CLIENT_CLOSED:
		fail("closed");
	default:
		break;
	}
	return 0;
}

static void read_input(void)
{
	char bytes[256];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
	if (n < 0)
		fail("can't read standard input");
	obey(bytes, (size_t)n, &client);
}

static int on_input(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	(void)wsi, (void)user, (void)in, (void)n;
	switch (reason) {
	case LWS_CALLBACK_RAW_RX_FILE:
		read_input();
		break;
	case LWS_CALLBACK_RAW_CLOSE_FILE: // the end of a pipe may not be readable
		obey(NULL, 0, &client);
		break;
	default:
		break;
	}
	return 0;
}

static struct lws_protocols protocols[] = {
	{.name = "websocket", .callback = on_websocket, .per_session_data_size = sizeof(struct connection)},
	{.name = "input", .callback = on_input},
	{.name = NULL},
};

static void dial(void)
{
	static char host[80];
	lws_snprintf(host, sizeof host, "%s:%d", work.host, work.port);
	struct lws_client_connect_info info = {
		.context = context,
		.address = work.host,
		.port = work.port,
		.host = host,
		.path = work.path,
		.local_protocol_name = protocols[0].name,
		// It knows names, but not addresses, in certificates.
		.ssl_connection = work.secure ? LCCSCF_USE_SSL | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK : 0,
	};
	if (lws_client_connect_via_info(&info) == NULL)
		fail("connecting failed");
}

static void start(void)
{
	for (size_t i = 0; i < open_connections; i++) {
		struct connection *c = lws_wsi_user(connections[i]);
		c->unsent = work.window;
		lws_callback_on_writable(connections[i]);
	}
}

static const struct lws_extension *extensions(void)
{
	static struct lws_extension all[] = {
		{.name = "permessage-deflate", .callback = lws_extension_callback_pm_deflate},
		{.name = NULL},
	};
	static const char *const offers[] = {
		[COMPRESSION_TAKEOVER] = "permessage-deflate",
		[COMPRESSION_FRESH] = "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
	};
	all[0].client_offer = offers[work.compression];
	return work.compression == COMPRESSION_NONE ? NULL : all;
}

int main(int argc, char **argv)
{
	enum { SMALLEST_BUFFER = 1024, READ_SIZE = 64 << 10 };
	read_arguments(argc, argv);
	lws_set_log_level(LLL_ERR, NULL);
	out = malloc(LWS_PRE + work.size);
	protocols[0].rx_buffer_size = work.size > SMALLEST_BUFFER ? work.size : SMALLEST_BUFFER;
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.extensions = extensions(),
		.pt_serv_buf_size = READ_SIZE,
		.client_ssl_ca_filepath = work.certificate,
		.options = LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS | (work.secure ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
	};
	context = lws_create_context(&info);
	if (context == NULL)
		fail("no context");
	lws_sock_file_fd_type input = {.filefd = STDIN_FILENO};
	if (lws_adopt_descriptor_vhost(lws_get_vhost_by_name(context, "default"), LWS_ADOPT_RAW_FILE_DESC, input,
	                               protocols[1].name, NULL) == NULL)
		fail("can't wait for standard input");
	while (lws_service(context, 0) >= 0)
		;
	fail("the service ended");
}
