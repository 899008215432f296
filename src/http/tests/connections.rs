//! The listener, over real sockets on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::http::{ListenSettings, Metrics, Tls, listen};

use super::world::World;

struct Listening {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
}

async fn listening(settings: ListenSettings) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let router = World::new().router;
    let metrics = Metrics::register(&mut Registry::default());
    let ended = tokio::spawn(listen(listener, router, settings, Tls::default(), metrics, async {
        let _ = stopped.await;
    }));
    Listening { address, stop, ended }
}

fn quick() -> ListenSettings {
    ListenSettings {
        head_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(400),
        drain_timeout: Duration::from_millis(500),
        ..ListenSettings::default()
    }
}

const ASK: &[u8] = b"GET /-/healthy HTTP/1.1\r\nhost: weir\r\n\r\n";

/// Sends a request and reads until its body has arrived.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(ASK).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"healthy.\n") {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(text).unwrap()
}

/// How long until the other side closes.
async fn closed_after(stream: &mut TcpStream) -> Duration {
    let began = tokio::time::Instant::now();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("closes at all");
    began.elapsed()
}

#[tokio::test]
async fn a_connection_may_wait_between_requests_but_not_inside_one() {
    let server = listening(quick()).await;
    // Silent from the start.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    // Drips its head.
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200"));
    slow.write_all(&ASK[..10]).await.unwrap();
    let (silent, slow) = tokio::join!(closed_after(&mut silent), closed_after(&mut slow));
    assert!(silent < Duration::from_millis(350) && slow < Duration::from_millis(350), "{silent:?}, {slow:?}");
    // Longer idle than a head may take, and still there.
    assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200"));
    let idle = closed_after(&mut idle).await;
    assert!(idle >= Duration::from_millis(350), "{idle:?}");
}

#[tokio::test]
async fn past_the_bound_connections_wait_for_a_place() {
    let settings = ListenSettings { connections_max: 1, idle_timeout: Duration::from_millis(200), ..quick() };
    let server = listening(settings).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    ask(&mut first).await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), ask(&mut second)).await.is_err(), "no place yet");
    drop(first);
    let mut answer = vec![0; 12];
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_waits_for_requests() {
    let server = listening(ListenSettings { idle_timeout: Duration::from_secs(60), ..quick() }).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    ask(&mut idle).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /api/v1/query?query=slow&timeout=200ms HTTP/1.1\r\nhost: weir\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.send(()).unwrap();
    let mut answer = Vec::new();
    busy.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&answer));
    assert!(closed_after(&mut idle).await < Duration::from_millis(400));
    server.ended.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn http_2_is_spoken_on_the_same_port() {
    let server = listening(quick()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The preface of RFC 9113, then an empty SETTINGS frame: length 0, type 4, no flags, stream 0.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!((head[3], &head[5..]), (4, &[0_u8; 4][..]), "the server's own SETTINGS");
}
