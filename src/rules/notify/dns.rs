//! SRV records: a question by UDP to the name servers of the system. The standard library asks for addresses only.

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::time::{Duration, timeout};

/// How long a name server may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Largest answer by UDP that is read.
const ANSWER_BYTES_MAX: usize = 4096;
/// SRV
const KIND: u16 = 33;
/// Most jumps inside one name.
const JUMPS_MAX: usize = 32;

/// The `host:port` of each SRV record of `name`.
///
/// # Errors
/// Why not, in words.
pub(super) async fn services(name: &str) -> Result<Vec<String>, String> {
    let conf = std::fs::read_to_string("/etc/resolv.conf").map_err(|refused| format!("/etc/resolv.conf: {refused}"))?;
    let servers = conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
    let question = question(name)?;
    let mut last = "no name server is configured".to_owned();
    for server in servers {
        match timeout(PATIENCE, ask(SocketAddr::new(server, 53), &question)).await {
            Ok(Ok(answer)) => return read(&answer),
            Ok(Err(refused)) => last = format!("{server}: {refused}"),
            Err(_) => last = format!("{server}: no answer in {} s", PATIENCE.as_secs()),
        }
    }
    Err(last)
}

async fn ask(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let own: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    let length = socket.recv(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}

/// A query for SRV records. (RFC 1035, section 4; RFC 2782.)
fn question(name: &str) -> Result<Vec<u8>, String> {
    // One socket a question, so the number need not tell answers apart; recursion is desired.
    let mut bytes = vec![0x57, 0x52, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length));
        bytes.push(length.ok_or_else(|| format!("{name:?} is no domain name"))?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, KIND as u8, 0, 1]);
    Ok(bytes)
}

fn read(answer: &[u8]) -> Result<Vec<String>, String> {
    let broken = || "the answer is cut short".to_owned();
    let word = |at: usize| Some(u16::from_be_bytes([*answer.get(at)?, *answer.get(at + 1)?]));
    match answer.get(3).ok_or_else(broken)? & 0x0f {
        0 => {}
        3 => return Err("there is no such name".to_owned()),
        code => return Err(format!("the name server refused (code {code})")),
    }
    let (questions, answers) = (word(4).ok_or_else(broken)?, word(6).ok_or_else(broken)?);
    let mut at = 12;
    for _ in 0..questions {
        at = name_at(answer, at).ok_or_else(broken)?.1 + 4;
    }
    let mut found = Vec::new();
    for _ in 0..answers {
        at = name_at(answer, at).ok_or_else(broken)?.1;
        let (kind, length) = (word(at).ok_or_else(broken)?, word(at + 8).ok_or_else(broken)?);
        let data = at + 10;
        if kind == KIND {
            let port = word(data + 4).ok_or_else(broken)?;
            let (target, _) = name_at(answer, data + 6).ok_or_else(broken)?;
            found.push(format!("{target}:{port}"));
        }
        at = data + usize::from(length);
    }
    Ok(found)
}

/// The name at `at`, and where what follows it stands.
fn name_at(answer: &[u8], mut at: usize) -> Option<(String, usize)> {
    let (mut name, mut end, mut jumps) = (String::new(), None, 0);
    loop {
        let length = *answer.get(at)?;
        if length & 0xc0 == 0xc0 {
            end = end.or(Some(at + 2));
            at = usize::from(u16::from_be_bytes([length & 0x3f, *answer.get(at + 1)?]));
            jumps += 1;
            if jumps > JUMPS_MAX {
                return None;
            }
            continue;
        }
        if length == 0 {
            return Some((name, end.unwrap_or(at + 1)));
        }
        let label = answer.get(at + 1..at + 1 + usize::from(length))?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(label));
        at += 1 + usize::from(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read() {
        let mut answer = question("_am._tcp.example").unwrap();
        answer[7] = 2;
        // Two records for the name at byte 12: priority, weight, port, target.
        for (host, port) in [("a", 9093_u16), ("b", 9094)] {
            answer.extend_from_slice(&[0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10, 0, 1, 0, 1]);
            answer.extend_from_slice(&port.to_be_bytes());
            answer.extend_from_slice(&[1, host.as_bytes()[0], 0xc0, 21]);
        }
        assert_eq!(read(&answer).unwrap(), ["a.example:9093", "b.example:9094"]);
        for length in 0..answer.len() {
            assert!(read(&answer[..length]).is_err() || length < 12 || answer[7] == 0, "cut at {length}");
        }
        // A name that points at itself ends.
        assert!(name_at(&[0xc0, 0], 0).is_none());
        assert!(question("a..b").is_err());
    }
}
