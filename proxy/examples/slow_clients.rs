//! Clients that hold connections and ask for nothing: `slow_clients ADDRESS COUNT`, until it is ended.
//!
//! A third says nothing, a third sends a head and a third a body, a byte every five seconds. Who is hung up on comes again. Prints a line
//! once all are connected. Not for: load.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PAUSE: Duration = Duration::from_secs(5);
const HEAD: &[u8] = b"GET /4KdXyZ01abc HTTP/1.1\r\nHost: s.example.com\r\nUser-Agent: slow\r\n\r\n";
const BODY: &[u8] = b"POST /postback HTTP/1.1\r\nHost: s.example.com\r\nContent-Length: 1000\r\n\r\nclick_id=slow";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, count] = &arguments[..] else { return Err("usage: slow_clients ADDRESS COUNT".into()) };
    let count: usize = count.parse()?;
    raise_descriptor_limit()?;
    let waiting = Arc::new(Semaphore::new(0));
    for number in 0..count {
        tokio::spawn(client(address.clone(), number, Arc::clone(&waiting)));
        if number % 100 == 99 {
            // No more at once than a listener's backlog holds.
            let _ = waiting.acquire_many(100).await?.forget();
        }
    }
    let _ = waiting.acquire_many(u32::try_from(count % 100)?).await?;
    println!("{count} connections");
    std::future::pending().await
}

fn raise_descriptor_limit() -> Outcome<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?)
}

async fn client(address: String, number: usize, connected: Arc<Semaphore>) {
    // What goes out at once, and what then comes byte by byte.
    let (at_once, slowly): (&[u8], &[u8]) = match number % 3 {
        0 => (b"", b""),
        1 => (b"", HEAD),
        _ => BODY.split_at(BODY.len() - 13),
    };
    let mut is_first = true;
    loop {
        let Ok(mut stream) = TcpStream::connect(&address).await else {
            sleep(PAUSE / 5).await;
            continue;
        };
        if std::mem::take(&mut is_first) {
            connected.add_permits(1);
        }
        // Spread over the pause, so that the bytes do not come in waves.
        let mut due = Instant::now() + PAUSE * u32::try_from(number % 100).unwrap_or(0) / 100;
        let mut answer = [0; 512];
        let mut bytes = slowly.iter();
        if stream.write_all(at_once).await.is_err() {
            continue;
        }
        loop {
            tokio::select! {
                read = stream.read(&mut answer) => if !matches!(read, Ok(1..)) { break },
                () = sleep_until(due), if !bytes.as_slice().is_empty() => {
                    due += PAUSE;
                    let byte = bytes.next().copied().unwrap_or_default();
                    if stream.write_all(&[byte]).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}
