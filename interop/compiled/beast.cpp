// Boost.Beast: echoes as README.md describes, with a thread for each connection.
// Arguments: server PORT CERTIFICATE KEY, or client AUTHORITY URL...

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
namespace websocket = beast::websocket;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

asio::io_context io;
const std::string subprotocol = "chat";

template <class Stream> void prepare(websocket::stream<Stream> &socket)
{
	constexpr std::size_t largest_message = 2 << 20;
	websocket::permessage_deflate deflate;
	deflate.server_enable = true;
	deflate.client_enable = true;
	socket.set_option(deflate);
	socket.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
	socket.read_message_max(largest_message);
	beast::get_lowest_layer(socket).set_option(tcp::no_delay(true));
}

// Beast itself answers a message that it refuses with a close frame, and ends the connection.
template <class Stream> void echo(websocket::stream<Stream> &socket)
{
	socket.control_callback([&](websocket::frame_type kind, beast::string_view payload) {
		if (kind != websocket::frame_type::pong)
			return;
		socket.text(true);
		socket.write(asio::buffer("pong " + std::string(payload)));
	});
	beast::flat_buffer message;
	for (;;) {
		error_code error;
		socket.read(message, error);
		if (error == websocket::error::closed)
			return;
		if (error)
			throw boost::system::system_error(error);
		std::string text = socket.got_text() ? beast::buffers_to_string(message.data()) : "";
		if (text == "ping") {
			socket.ping("there?");
		} else if (text == "close") {
			socket.close({websocket::close_code(4002), "as asked"});
			return;
		} else {
			socket.text(socket.got_text());
			socket.write(message.data());
		}
		message.clear();
	}
}

template <class Stream> void serve(websocket::stream<Stream> socket)
{
	beast::flat_buffer buffer;
	http::request<http::empty_body> request;
	http::read(socket.next_layer(), buffer, request);
	bool chat = request[http::field::sec_websocket_protocol] == subprotocol;
	if (request.target() == "/chat" && !chat) {
		http::response<http::empty_body> refusal{http::status::bad_request, request.version()};
		refusal.prepare_payload();
		http::write(socket.next_layer(), refusal);
		return;
	}
	prepare(socket);
	if (chat) {
		socket.set_option(websocket::stream_base::decorator([](websocket::response_type &response) {
			response.set(http::field::sec_websocket_protocol, subprotocol);
		}));
	}
	socket.accept(request);
	echo(socket);
}

template <class Stream> void open(websocket::stream<Stream> socket, const std::string &host, const std::string &path)
{
	prepare(socket);
	socket.set_option(websocket::stream_base::decorator([](websocket::request_type &request) {
		request.set(http::field::sec_websocket_protocol, subprotocol);
	}));
	socket.handshake(host, path);
	echo(socket);
}

// TLS and what has none share a port.
void accept(tcp::socket connection, ssl::context &tls)
{
	constexpr unsigned char handshake = 22; // the first byte of TLS
	unsigned char first = 0;
	connection.receive(asio::buffer(&first, 1), tcp::socket::message_peek);
	if (first != handshake)
		return serve(websocket::stream<tcp::socket>(std::move(connection)));
	beast::ssl_stream<tcp::socket> secure(std::move(connection), tls);
	secure.handshake(ssl::stream_base::server);
	serve(websocket::stream<beast::ssl_stream<tcp::socket>>(std::move(secure)));
}

void connect(const std::string &url, ssl::context &tls)
{
	std::size_t host_at = url.find("://") + 3, path_at = url.find('/', host_at), port_at = url.find(':', host_at) + 1;
	std::string host = url.substr(host_at, path_at - host_at);
	int port = std::stoi(url.substr(port_at, path_at - port_at));
	tcp::socket connection(io);
	auto address = asio::ip::make_address(url.substr(host_at, port_at - 1 - host_at));
	connection.connect({address, static_cast<unsigned short>(port)});
	if (url.rfind("wss:", 0) != 0)
		return open(websocket::stream<tcp::socket>(std::move(connection)), host, url.substr(path_at));
	beast::ssl_stream<tcp::socket> secure(std::move(connection), tls);
	secure.handshake(ssl::stream_base::client);
	open(websocket::stream<beast::ssl_stream<tcp::socket>>(std::move(secure)), host, url.substr(path_at));
}

// What a connection throws ends only that one.
template <class F> std::thread start(F run)
{
	return std::thread([run = std::move(run)]() mutable {
		try {
			run();
		} catch (const std::exception &error) {
			std::cerr << error.what() << '\n';
		}
	});
}

[[noreturn]] void listen(unsigned short port, const char *certificate, const char *key)
{
	ssl::context tls{ssl::context::tls_server};
	tls.use_certificate_chain_file(certificate);
	tls.use_private_key_file(key, ssl::context::pem);
	tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), port});
	for (;;) {
		start([connection = acceptor.accept(), &tls]() mutable { accept(std::move(connection), tls); }).detach();
	}
}

} // namespace

int main(int argc, char **argv)
{
	std::vector<std::string> arguments(argv + 1, argv + argc);
	if (arguments.size() == 4 && arguments[0] == "server")
		listen(std::stoi(arguments[1]), argv[3], argv[4]);
	if (arguments.size() < 3 || arguments[0] != "client")
		return EXIT_FAILURE;
	ssl::context tls{ssl::context::tls_client};
	tls.load_verify_file(arguments[1]);
	tls.set_verify_mode(ssl::verify_peer);
	std::vector<std::thread> connections;
	for (std::size_t i = 2; i < arguments.size(); i++)
		connections.push_back(start([url = arguments[i], &tls] { connect(url, tls); }));
	for (std::thread &connection : connections)
		connection.join();
}
