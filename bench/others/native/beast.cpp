// The client of Boost.Beast: one thread, epoll, OpenSSL.

#include "work.h"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <type_traits>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;
using tcp = asio::ip::tcp;

// The executor is that of the only loop, so that no call is virtual.
using plain_stream = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using secure_stream = beast::ssl_stream<plain_stream>;

namespace {

asio::io_context loop{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
asio::ssl::context tls{asio::ssl::context::tls_client};
tcp::endpoint server;

[[noreturn]] void fail_with(const char *what, error_code error)
{
	fail("%s: %s", what, error.message().c_str());
}

template <class Stream> websocket::stream<Stream> new_stream()
{
	if constexpr (std::is_same_v<Stream, secure_stream>)
		return websocket::stream<Stream>{loop, tls};
	else
		return websocket::stream<Stream>{loop};
}

// A connection lives as long as the process.
template <class Stream> class connection {
public:
	void dial(const client *opening)
	{
		client_ = opening;
		beast::get_lowest_layer(stream_).async_connect(server, [this](error_code error) {
			if (error)
				fail_with("connecting", error);
			beast::get_lowest_layer(stream_).set_option(tcp::no_delay(true));
			secure();
		});
	}

	void send(int messages)
	{
		unsent_ += messages;
		if (!writing_)
			write();
	}

private:
	void secure()
	{
		if constexpr (std::is_same_v<Stream, secure_stream>) {
			stream_.next_layer().set_verify_callback(asio::ssl::host_name_verification(work.host));
			stream_.next_layer().async_handshake(asio::ssl::stream_base::client, [this](error_code error) {
				if (error)
					fail_with("TLS", error);
				open();
			});
		} else {
			open();
		}
	}

	void open()
	{
		configure();
		auto response = std::make_shared<websocket::response_type>();
		std::string host = std::string(work.host) + ":" + std::to_string(work.port);
		stream_.async_handshake(*response, host, work.path, [this, response](error_code error) {
			if (error)
				fail_with("opening handshake", error);
			check_compression((*response)[http::field::sec_websocket_extensions]);
			read();
			connection_opened(client_);
		});
	}

	// A message is one frame and one write, because it fits into the buffer.
	void configure()
	{
		constexpr std::size_t room = 64; // for a header, and for what can't be compressed
		stream_.binary(true);
		stream_.auto_fragment(false);
		stream_.write_buffer_bytes(work.size + room);
		if (work.compression == COMPRESSION_NONE)
			return;
		websocket::permessage_deflate deflate;
		deflate.client_enable = true;
		deflate.client_no_context_takeover = work.compression == COMPRESSION_FRESH;
		deflate.server_no_context_takeover = work.compression == COMPRESSION_FRESH;
		deflate.compLevel = 1;
		stream_.set_option(deflate);
	}

	void check_compression(beast::string_view agreed)
	{
		bool fresh = work.compression == COMPRESSION_FRESH;
		if (agreed.empty() != (work.compression == COMPRESSION_NONE)
		    || (agreed.find("client_no_context_takeover") != agreed.npos) != fresh
		    || (agreed.find("server_no_context_takeover") != agreed.npos) != fresh)
			fail("agreed on extensions: \"%s\"", std::string(agreed).c_str());
	}

	void read()
	{
		stream_.async_read(in_, [this](error_code error, std::size_t) {
			if (error)
				fail_with("receiving", error);
			bool again = message_received(in_.size());
			in_.clear();
			if (again)
				send(1);
			read();
		});
	}

	void write()
	{
		writing_ = true;
		unsent_--;
		stream_.async_write(asio::buffer(next_message(), work.size), [this](error_code error, std::size_t) {
			if (error)
				fail_with("sending", error);
			writing_ = false;
			if (unsent_ > 0)
				write();
		});
	}

	websocket::stream<Stream> stream_ = new_stream<Stream>();
	beast::flat_buffer in_;
	const client *client_ = nullptr;
	int unsent_ = 0;
	bool writing_ = false;
};

template <class Stream> struct program {
	static inline std::vector<connection<Stream> *> connections;

	static void dial();

	static void start()
	{
		for (auto *c : connections)
			c->send(work.window);
	}

	static constexpr client functions{dial, start};
};

template <class Stream> void program<Stream>::dial()
{
	auto *c = new connection<Stream>;
	connections.push_back(c);
	c->dial(&functions);
}

// Standard input is a pipe.
class input {
public:
	explicit input(const client *obeying) : client_(obeying) { read(); }

private:
	void read()
	{
		stream_.async_read_some(asio::buffer(bytes_), [this](error_code error, std::size_t n) {
			if (error && error != asio::error::eof)
				fail_with("standard input", error);
			obey(bytes_.data(), n, client_);
			read();
		});
	}

	asio::posix::stream_descriptor stream_{loop, STDIN_FILENO};
	std::array<char, 256> bytes_;
	const client *client_;
};

} // namespace

int main(int argc, char **argv)
{
	read_arguments(argc, argv);
	server = {asio::ip::make_address(work.host), static_cast<unsigned short>(work.port)};
	if (work.secure) {
		tls.load_verify_file(work.certificate);
		tls.set_verify_mode(asio::ssl::verify_peer);
	}
	input commands{work.secure ? &program<secure_stream>::functions : &program<plain_stream>::functions};
	loop.run();
}
