//! What the clients and servers have in common. ../README.md says what they do.

pub mod client;
pub mod server;

use std::error::Error;
use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::process::exit;
use std::task::Poll;

use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A connection of TCP or TLS.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// Ends the program.
pub fn fail(error: impl Display) -> ! {
    eprintln!("{error}");
    exit(1)
}

/// Returns the next item of a stream if it has arrived.
pub async fn arrived<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    poll_fn(|cx| Poll::Ready(stream.poll_next_unpin(cx))).await
}

/// Makes the kernel give memory in small pages. mimalloc asks for huge ones, which is faster, but all of a huge page
/// counts as soon as a byte of it is used.
pub fn refuse_huge_pages() -> Result<()> {
    // SAFETY: no argument is a pointer.
    match unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().into()),
    }
}

/// Raises the number of files that may be open to the largest that is allowed.
fn raise_file_limit() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid pointer.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return Err(io::Error::last_os_error().into());
        }
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0 {
            return Err(io::Error::last_os_error().into());
        }
    }
    Ok(())
}

/// A runtime on the current thread: all connections share one processor.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
