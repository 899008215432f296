//! A small web server for whoever is spoken to: it keeps what it hears, and answers as a test says.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// `GET /path?query`
    pub(super) line: String,
    /// By name in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Heard {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// What becomes of a request.
pub(super) enum Reply {
    Say(u16, String),
    /// The connection ends.
    HangUp,
    /// Nothing happens any more.
    Silence,
}

pub(super) fn ok(body: impl Into<String>) -> Reply {
    Reply::Say(200, body.into())
}

pub(super) struct Server {
    pub(super) address: std::net::SocketAddr,
    pub(super) heard: Arc<Mutex<Vec<Heard>>>,
}

impl Server {
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves on loopback, each connection for one request; under TLS where `tls` says how.
    pub(super) fn start(
        runtime: &Runtime,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (known, answer) = (heard.clone(), Arc::new(answer));
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (known, answer, tls) = (known.clone(), answer.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, &known, &*answer).await,
                        // Whoever does not trust us, or is not trusted, hangs up here.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => converse(stream, &known, &*answer).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Server { address, heard }
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    known: &Mutex<Vec<Heard>>,
    answer: &(impl Fn(&Heard) -> Reply + ?Sized),
) -> Option<()> {
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    let heard = loop {
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&piece[..read]);
        if let Some(heard) = whole(&request) {
            break heard;
        }
    };
    known.lock().push(heard.clone());
    match answer(&heard) {
        Reply::Say(status, body) => {
            let reply =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            stream.write_all(reply.as_bytes()).await.ok()?;
            stream.shutdown().await.ok()
        }
        Reply::HangUp => None,
        Reply::Silence => std::future::pending().await,
    }
}

/// The request, once it is there as a whole.
fn whole(bytes: &[u8]) -> Option<Heard> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.lines();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    Some(Heard { line, headers, body })
}
