//! What servers have in common: accepting connections, and knowing all that are open.

use std::collections::HashMap;
use std::env;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::{Result, fail, raise_file_limit, runtime};

/// Serves each connection with a call of serve. An error of it ends only that connection.
pub fn main<F: Future<Output = Result<()>> + Send + 'static>(serve: fn(TcpStream) -> F) {
    if let Err(err) = listen(serve) {
        fail(err);
    }
}

fn listen<F: Future<Output = Result<()>> + Send + 'static>(serve: fn(TcpStream) -> F) -> Result<()> {
    let port: u16 = env::args().nth(1).ok_or("argument: PORT")?.parse()?;
    raise_file_limit()?;
    runtime()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    stream.set_nodelay(true)?;
                    tokio::spawn(serve(stream));
                }
                Err(err) if err.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(err) => return Err(err.into()),
            }
        }
    })
}

/// The writers of all open connections.
pub struct Room<W> {
    members: SyncMutex<HashMap<usize, Writer<W>>>,
}

pub type Writer<W> = Arc<Mutex<W>>;

impl<W> Default for Room<W> {
    fn default() -> Self {
        Room { members: SyncMutex::default() }
    }
}

impl<W> Room<W> {
    /// Adds a connection until the result is dropped.
    pub fn join(&self, writer: W) -> Member<'_, W> {
        let writer = Arc::new(Mutex::new(writer));
        self.lock().insert(key(&writer), writer.clone());
        Member { room: self, writer }
    }

    /// Returns the writers of all open connections.
    pub fn writers(&self) -> Vec<Writer<W>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Writer<W>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key<W>(writer: &Writer<W>) -> usize {
    Arc::as_ptr(writer).addr()
}

/// A connection in a room.
pub struct Member<'a, W> {
    pub room: &'a Room<W>,
    pub writer: Writer<W>,
}

impl<W> Drop for Member<'_, W> {
    fn drop(&mut self) {
        self.room.lock().remove(&key(&self.writer));
    }
}
