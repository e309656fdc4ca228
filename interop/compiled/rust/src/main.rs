//! Echoes with a library of Rust, as ../../README.md describes. Arguments: LIBRARY server PORT CERTIFICATE KEY, or
//! LIBRARY client AUTHORITY URL...

mod fast;
mod tungstenite;

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What carries a WebSocket: TCP or TLS.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

type Stream = Box<dyn Transport>;

const LARGEST_MESSAGE: usize = 2 << 20;

#[derive(Clone, Copy)]
enum Library {
    Tungstenite,
    FastWebsockets,
}

impl Library {
    async fn serve(self, stream: Stream) -> Result<()> {
        match self {
            Library::Tungstenite => tungstenite::serve(stream).await,
            Library::FastWebsockets => fast::serve(stream).await,
        }
    }

    async fn connect(self, uri: Uri, stream: Stream) -> Result<()> {
        match self {
            Library::Tungstenite => tungstenite::connect(uri, stream).await,
            Library::FastWebsockets => fast::connect(uri, stream).await,
        }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (&name, arguments) = arguments.split_first().ok_or("no arguments")?;
    let library = match name {
        "tokio-tungstenite" => Library::Tungstenite,
        "fastwebsockets" => Library::FastWebsockets,
        _ => return Err("unknown library".into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments {
        ["server", port, certificate, key] => runtime.block_on(listen(library, port.parse()?, certificate, key)),
        ["client", authority, urls @ ..] => runtime.block_on(dial(library, authority, urls)),
        _ => Err("unknown arguments".into()),
    }
}

/// Serves connections with TLS and without on one port.
async fn listen(library: Library, port: u16, certificate: &str, key: &str) -> Result<()> {
    let chain = vec![CertificateDer::from_pem_file(certificate)?];
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let tls = tls.clone();
        tokio::spawn(async move {
            if let Err(err) = accept(library, stream, tls).await {
                eprintln!("{err}");
            }
        });
    }
}

async fn accept(library: Library, stream: TcpStream, tls: TlsAcceptor) -> Result<()> {
    const HANDSHAKE: u8 = 22; // the first byte of TLS
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first[0] == HANDSHAKE {
        library.serve(Box::new(tls.accept(stream).await?)).await
    } else {
        library.serve(Box::new(stream)).await
    }
}

async fn dial(library: Library, authority: &str, urls: &[&str]) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tls = TlsConnector::from(Arc::new(config));
    let mut connections = JoinSet::new();
    for url in urls {
        connections.spawn(connect(library, url.parse()?, tls.clone()));
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    Ok(())
}

async fn connect(library: Library, uri: Uri, tls: TlsConnector) -> Result<()> {
    let host = uri.host().ok_or("a URL without a host")?;
    let stream = TcpStream::connect((host, uri.port_u16().ok_or("a URL without a port")?)).await?;
    stream.set_nodelay(true)?;
    if uri.scheme_str() == Some("wss") {
        let name = ServerName::try_from(host.to_owned())?;
        let stream = tls.connect(name, stream).await?;
        library.connect(uri, Box::new(stream)).await
    } else {
        library.connect(uri, Box::new(stream)).await
    }
}
