//! The lines that control a client, and what it counts.

use std::env;
use std::fs;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use http::Uri;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::{Result, Transport, fail, raise_file_limit, runtime};

/// A client library.
pub trait Library: 'static {
    /// A WebSocket over a transport.
    type Socket<T: Transport>: Send + 'static;

    /// Whether it can compress.
    const COMPRESSES: bool = false;

    /// Is called once, first of all.
    fn prepare(_: &Work) -> Result<()> {
        Ok(())
    }

    /// Does the opening handshake.
    fn open<T: Transport>(transport: T, work: &'static Work) -> impl Future<Output = Result<Self::Socket<T>>> + Send;

    /// Sends and receives until an error occurs. Without a window it only receives.
    fn run<T: Transport>(socket: Self::Socket<T>, work: &'static Work) -> impl Future<Output = Result<()>> + Send;

    /// Frees memory.
    fn settle() {
        // SAFETY: it may be called at any time.
        unsafe { libc::malloc_trim(0) };
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Compression {
    None,
    Takeover,
    Fresh,
}

/// What the client has to do.
pub struct Work {
    pub uri: Uri,
    /// The size of each message.
    pub size: usize,
    /// How many messages are in flight on each connection; 0: the client only receives.
    pub window: usize,
    pub compression: Compression,
    address: SocketAddr,
    tls: Option<TlsConnector>,
    started: watch::Receiver<bool>,
    contents: Vec<u8>, // of the messages sent, one after the other
    sent: AtomicUsize,
    open: AtomicUsize,
    received: AtomicUsize, // since the last line that said so
}

impl Work {
    /// The next message to send.
    pub fn message(&'static self) -> &'static [u8] {
        if self.contents.len() == self.size {
            return &self.contents;
        }
        let n = self.sent.load(Relaxed); // one thread changes it
        self.sent.store(n + 1, Relaxed);
        let start = n % (self.contents.len() / self.size) * self.size;
        &self.contents[start..start + self.size]
    }

    /// Counts a message received.
    pub fn receive(&self, size: usize) -> Result<()> {
        if size != self.size {
            return Err(format!("a message of {size} bytes instead of {}", self.size).into());
        }
        if self.window > 0 {
            return Ok(());
        }
        let received = self.received.load(Relaxed) + 1;
        let open = self.open.load(Relaxed);
        self.received.store(received % open, Relaxed);
        if received >= open {
            say("received");
        }
        Ok(())
    }

    /// The size of a buffer for all messages in flight on a connection, if they are not large.
    pub fn buffer(&self) -> usize {
        const HEADER: usize = 14;
        const SMALLEST: usize = 4 << 10;
        const LARGEST: usize = 128 << 10;
        let all = (self.size + HEADER) * self.window.max(1);
        all.next_power_of_two().clamp(SMALLEST, LARGEST)
    }

    /// The size of a buffer that makes one write of several messages; 0: there is never more than one to write.
    pub fn write_buffer(&self) -> usize {
        if self.window > 1 { self.buffer() } else { 0 }
    }
}

/// Does what the arguments and the standard input say.
pub fn main<L: Library>() {
    if let Err(err) = control::<L>() {
        fail(err);
    }
}

fn control<L: Library>() -> Result<()> {
    let (start, started) = watch::channel(false);
    let work: &'static Work = Box::leak(Box::new(parse(started)?));
    if work.compression != Compression::None && !L::COMPRESSES {
        eprintln!("the library can't compress");
        exit(3);
    }
    L::prepare(work)?;
    raise_file_limit()?;
    let mut lines = read_lines();
    runtime()?.block_on(async {
        while let Some(line) = lines.recv().await {
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("open", n) => {
                    open::<L>(work, n.parse()?).await?;
                    say("opened");
                }
                ("start", "") => {
                    say("started");
                    start.send(true)?;
                }
                ("settle", "") => {
                    L::settle();
                    say("settled");
                }
                _ => return Err(format!("unknown line {line:?}").into()),
            }
        }
        Ok(())
    })
}

fn parse(started: watch::Receiver<bool>) -> Result<Work> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, size, window, compression, feed, certificate] = &arguments[..] else {
        return Err("arguments: URL SIZE WINDOW COMPRESSION FEED CERTIFICATE".into());
    };
    let uri: Uri = url.parse()?;
    let size: usize = size.parse()?;
    let compression = match compression.as_str() {
        "none" => Compression::None,
        "takeover" => Compression::Takeover,
        "fresh" => Compression::Fresh,
        other => return Err(format!("unknown compression {other:?}").into()),
    };
    let contents = if compression == Compression::None { vec![0; size] } else { fs::read(feed)? };
    if size == 0 || contents.is_empty() || contents.len() % size != 0 {
        return Err(format!("{} bytes aren't messages of {size}", contents.len()).into());
    }
    let tls = match uri.scheme_str() {
        Some("ws") => None,
        Some("wss") => Some(trust(certificate)?),
        _ => return Err(format!("{url:?} isn't the URL of a WebSocket").into()),
    };
    Ok(Work {
        address: uri.authority().ok_or("a URL without a host")?.as_str().parse()?,
        uri,
        size,
        window: window.parse()?,
        compression,
        tls,
        started,
        contents,
        sent: AtomicUsize::new(0),
        open: AtomicUsize::new(0),
        received: AtomicUsize::new(0),
    })
}

fn trust(certificate: &str) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled(); // each handshake is whole
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The lines of the standard input, read by a thread of their own.
fn read_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let line = line.unwrap_or_else(|err| fail(err));
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn say(line: &str) {
    if let Err(err) = writeln!(io::stdout(), "{line}") {
        fail(err);
    }
}

/// Opens n connections, several at a time.
async fn open<L: Library>(work: &'static Work, n: usize) -> Result<()> {
    const AT_A_TIME: usize = 32;
    let next = Arc::new(AtomicUsize::new(0));
    let mut dialing = JoinSet::new();
    for _ in 0..n.min(AT_A_TIME) {
        let next = next.clone();
        dialing.spawn(async move {
            while next.fetch_add(1, Relaxed) < n {
                dial::<L>(work).await?;
            }
            Result::Ok(())
        });
    }
    while let Some(dialed) = dialing.join_next().await {
        dialed??;
    }
    Ok(())
}

async fn dial<L: Library>(work: &'static Work) -> Result<()> {
    let stream = TcpStream::connect(work.address).await?;
    stream.set_nodelay(true)?;
    match &work.tls {
        None => begin::<L, _>(L::open(stream, work).await?, work),
        Some(tls) => {
            let name = ServerName::IpAddress(work.address.ip().into());
            let stream = tls.connect(name, stream).await?;
            begin::<L, _>(L::open(stream, work).await?, work);
        }
    }
    Ok(())
}

/// Starts the task of a connection, which waits for the start if it has to send.
fn begin<L: Library, T: Transport>(socket: L::Socket<T>, work: &'static Work) {
    work.open.store(work.open.load(Relaxed) + 1, Relaxed);
    tokio::spawn(async move {
        if work.window > 0 {
            let mut started = work.started.clone();
            if started.wait_for(|started| *started).await.is_err() {
                return; // the program ends
            }
        }
        match L::run(socket, work).await {
            Ok(()) => fail("a connection was closed"),
            Err(err) => fail(err),
        }
    });
}
