//! A client's stream that gives up on clients who do not read, and adds what hyper's own answers lack.
//!
//! hyper has no deadline for writing. And it answers requests that it cannot parse by itself, without asking anybody:
//! those answers, too, must not stay in a cache, where a 414 would kill a link.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client may take nothing of what waits for it.
const WRITE_DEADLINE: Duration = Duration::from_secs(15);

/// How the answers begin that hyper makes by itself, after the status line. Ours have their caching line before these.
const BARE_HEADERS: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\n";

const NO_STORE: &[u8] = b"\r\ncache-control: no-store";

pub struct ClientStream<S> {
    stream: S,
    /// An answer of hyper's with the caching line in it, and how much of it is written.
    completed: Option<(Vec<u8>, usize)>,
    /// Runs while the kernel's buffer is full; most connections never make one.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncWrite + Unpin> ClientStream<S> {
    pub fn new(stream: S) -> Self {
        ClientStream { stream, completed: None, stalled: None }
    }

    /// Writes all of it before hyper is told that its own bytes are written.
    fn write_completed(
        &mut self,
        (bytes, mut done): (Vec<u8>, usize),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while done < bytes.len() {
            match Pin::new(&mut self.stream).poll_write(context, &bytes[done..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => done += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.completed = Some((bytes, done));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn watched<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_DEADLINE)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.completed.is_none() {
            self.completed = complete(bytes).map(|bytes| (bytes, 0));
        }
        let written = match self.completed.take() {
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
            Some(completed) => self.write_completed(completed, context).map_ok(|()| bytes.len()),
        };
        self.watched(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watched(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The bytes with the caching line, if the last answer in them is one that hyper made by itself.
fn complete(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = bytes.windows(b"HTTP/1.".len()).rposition(|start| start == b"HTTP/1.")?;
    let status_line = bytes[head..].iter().position(|&byte| byte == b'\r')?;
    let headers = head + status_line;
    let is_error = bytes.get(head + 9) == Some(&b'4');
    (is_error && bytes[headers..].starts_with(BARE_HEADERS))
        .then(|| [&bytes[..headers], NO_STORE, &bytes[headers..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    #[test]
    fn only_answers_of_hyper_get_the_caching_line() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let completed = complete(bare).unwrap();
        assert!(completed.starts_with(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncache-control: no-store\r\nconnection: close\r\n"
        ));
        assert_eq!(complete(&completed), None);
        let pipelined = [b"HTTP/1.1 302 Found\r\nlocation: x\r\n\r\n".as_slice(), bare].concat();
        assert!(complete(&pipelined).is_some());
        assert_eq!(complete(b"HTTP/1.1 302 Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(complete(b""), None);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_never_reads_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut stream = ClientStream::new(listener.accept().await.unwrap().0);
        let error = stream.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
