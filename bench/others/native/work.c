#include "work.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CONCURRENT_DIALS = 32 };

struct work work;

static unsigned char *payloads;
static size_t payloads_length, next_payload;
static long connections, received, to_dial, dialing;

void fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	_exit(1);
}

static void answer(const char *line)
{
	if (write(STDOUT_FILENO, line, strlen(line)) < 0)
		fail("nobody reads the answers");
}

static void read_feed(const char *name)
{
	FILE *file = fopen(name, "rb");
	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
		fail("can't read %s", name);
	payloads_length = (size_t)ftell(file);
	rewind(file);
	payloads = malloc(payloads_length);
	if (payloads == NULL || fread(payloads, 1, payloads_length, file) != payloads_length)
		fail("can't read %s", name);
	fclose(file);
	if (payloads_length == 0 || payloads_length % work.size != 0)
		fail("%s has %zu bytes, not a multiple of %zu", name, payloads_length, work.size);
}

static void raise_file_limit(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static enum compression compression_named(const char *name)
{
	static const char *const names[] = {"none", "takeover", "fresh"};
	for (int i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum compression)i;
	fail("unknown compression: %s", name);
}

void read_arguments(int argc, char **argv)
{
	static char path[512];
	char scheme[4];
	if (argc != 7)
		fail("usage: %s URL SIZE WINDOW COMPRESSION FEED CERTIFICATE", argv[0]);
	if (sscanf(argv[1], "%3[a-z]://%63[^:/]:%d%511s", scheme, work.host, &work.port, path) != 4)
		fail("the URL isn't SCHEME://HOST:PORT/PATH: %s", argv[1]);
	work.path = path;
	work.secure = strcmp(scheme, "wss") == 0;
	work.size = strtoul(argv[2], NULL, 10);
	work.window = atoi(argv[3]);
	work.compression = compression_named(argv[4]);
	work.certificate = argv[6];
	if (strcmp(argv[5], "-") != 0) {
		read_feed(argv[5]);
	} else {
		payloads_length = work.size;
		payloads = calloc(1, work.size);
	}
	raise_file_limit();
}

const unsigned char *next_message(void)
{
	const unsigned char *message = payloads + next_payload;
	next_payload += work.size;
	if (next_payload == payloads_length)
		next_payload = 0;
	return message;
}

static void dial_more(const struct client *client)
{
	while (to_dial > 0 && dialing < CONCURRENT_DIALS) {
		to_dial--;
		dialing++;
		client->dial();
	}
}

void connection_opened(const struct client *client)
{
	connections++;
	dialing--;
	dial_more(client);
	if (dialing == 0)
		answer("opened\n");
}

bool message_received(size_t n)
{
	if (n != work.size)
		fail("a message of %zu bytes instead of %zu", n, work.size);
	if (work.window > 0)
		return true;
	if (++received == connections) {
		received = 0;
		answer("received\n");
	}
	return false;
}

static void obey_line(const char *line, const struct client *client)
{
	if (sscanf(line, "open %ld", &to_dial) == 1) {
		dial_more(client);
	} else if (strcmp(line, "start") == 0) {
		answer("started\n");
		client->start();
	} else if (strcmp(line, "settle") == 0) {
		malloc_trim(0);
		answer("settled\n");
	} else {
		fail("unknown line: %s", line);
	}
}

void obey(const char *bytes, size_t n, const struct client *client)
{
	static char line[64];
	static size_t length;
	if (n == 0)
		_exit(0);
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != '\n') {
			if (length == sizeof line - 1)
				fail("a line is too long");
			line[length++] = bytes[i];
			continue;
		}
		line[length] = '\0';
		length = 0;
		obey_line(line, client);
	}
}
