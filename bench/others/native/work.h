// What bench/others/README.md demands of a client, apart from what its library does.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum compression { COMPRESSION_NONE, COMPRESSION_TAKEOVER, COMPRESSION_FRESH };

struct work {
	bool secure;
	char host[64];
	int port;
	const char *path;
	size_t size; // of a message's payload
	int window;
	enum compression compression;
	const char *certificate; // a file, if secure
};

extern struct work work;

// A program's functions.
struct client {
	void (*dial)(void);  // begins to open a connection
	void (*start)(void); // sends the first messages
};

void read_arguments(int argc, char **argv);

// Returns the payload of the next message to send.
const unsigned char *next_message(void);

// Counts a connection that is open, and dials the next one.
void connection_opened(const struct client *client);

// Counts a message of n bytes, and reports whether to send another one.
bool message_received(size_t n);

// Does what a part of the standard input says. No bytes are its end: the process exits.
void obey(const char *bytes, size_t n, const struct client *client);

// Ends the process because of an error.
#ifdef __cplusplus
[[noreturn]]
#else
_Noreturn
#endif
void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif
