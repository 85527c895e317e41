//! Taps at a fixed rate, whether or not the answers keep up: `open_loop ADDRESS FILE_OF_CODES RATE SECONDS CONNECTIONS`.
//!
//! Each request has a moment at which it is due, and its latency counts from there: a proxy that stalls makes the requests behind
//! the stalled one late, and that is seen (no coordinated omission). Prints one JSON object. Not for: finding the highest rate.

use std::error::Error;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const AGENT: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                     Version/17.5 Mobile/15E148 Safari/604.1";

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, codes, rate, seconds, connections] = &arguments[..] else {
        return Err("usage: open_loop ADDRESS FILE_OF_CODES RATE SECONDS CONNECTIONS".into());
    };
    let codes: &'static [String] =
        std::fs::read_to_string(codes)?.lines().map(str::to_owned).collect::<Vec<_>>().leak();
    let (rate, seconds): (f64, u64) = (rate.parse()?, seconds.parse()?);
    let connections: u32 = connections.parse()?;
    let interval = Duration::from_secs_f64(f64::from(connections) / rate);
    let start = Instant::now() + Duration::from_millis(200);
    let end = start + Duration::from_secs(seconds);
    let clients: Vec<_> = (0..connections)
        .map(|number| {
            let first = start + interval * number / connections;
            tokio::spawn(client(address.clone(), codes, first, interval, end, number))
        })
        .collect();
    let (mut latencies, mut refused) = (Vec::new(), 0);
    for client in clients {
        let (more, others) = client.await??;
        latencies.extend(more);
        refused += others;
    }
    latencies.sort_unstable();
    let at =
        |share: f64| latencies.get((latencies.len() as f64 * share) as usize).map_or(0.0, |us| f64::from(*us) / 1000.0);
    let answers = latencies.len();
    let line = format!(
        "{{\"rate\": {:.1}, \"answers\": {answers}, \"bad_answers\": {refused}, \"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \"p999_ms\": {:.3}}}\n",
        answers as f64 / seconds as f64,
        at(0.5),
        at(0.99),
        at(0.999)
    );
    tokio::io::stdout().write_all(line.as_bytes()).await?;
    Ok(())
}

/// The latencies of one connection's requests in microseconds, and how many were not redirected.
async fn client(
    address: String,
    codes: &[String],
    first: Instant,
    interval: Duration,
    end: Instant,
    number: u32,
) -> Outcome<(Vec<u32>, u32)> {
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut latencies, mut refused) = (Vec::new(), 0);
    let mut answer = vec![0; 4096];
    let mut due = first;
    let mut place = number as usize * 7919;
    while due < end {
        sleep_until(due).await;
        place = (place + 104_729) % codes.len();
        let request = format!("GET /{} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {AGENT}\r\n\r\n", codes[place]);
        stream.write_all(request.as_bytes()).await?;
        let mut length = 0;
        // A redirect has no body: its head is all of it.
        while !answer[..length].ends_with(b"\r\n\r\n") {
            match stream.read(&mut answer[length..]).await? {
                0 => return Err("the proxy hung up".into()),
                more => length += more,
            }
        }
        refused += u32::from(!answer.starts_with(b"HTTP/1.1 302 "));
        latencies.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
        due += interval;
    }
    Ok((latencies, refused))
}
