//! HTTP's CONNECT (RFC 9110, 9.3.6).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Denied, Proxy, Said, Target};

/// It was asked, and its answer is read.
#[derive(Debug)]
pub(in crate::net) struct Connect;

/// The longest head of an answer, in bytes.
const LONGEST: usize = 16 << 10;

impl Connect {
    pub(super) fn begin(proxy: &Proxy, target: &Target) -> (Self, Vec<u8>) {
        let to = &target.broker;
        let login = proxy.login.as_ref().map_or_else(String::new, |(name, password)| {
            let login = STANDARD.encode(format!("{name}:{}", password.reveal()));
            format!("Proxy-Authorization: Basic {login}\r\n")
        });
        (Self, format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n").into_bytes())
    }

    pub(super) fn handle(&self, said: &[u8]) -> Result<Said, Denied> {
        const NO_HTTP: &str = "it does not speak HTTP";
        const START: &[u8] = b"HTTP/1.";
        let n = said.len().min(START.len());
        if said[..n] != START[..n] {
            return Err(NO_HTTP.into());
        }
        let Some(end) = said.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            if said.len() >= LONGEST {
                return Err(NO_HTTP.into());
            }
            return Ok(Said::Wait);
        };
        let line = said.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let status = line.split(|byte| *byte == b' ').nth(1);
        match status {
            Some([b'2', _, _]) => Ok(Said::Connected(end + 4)),
            // 401 is of servers, and some proxies say it all the same.
            Some(b"401" | b"407") => {
                Err(Denied::Login("it wants a name and a password, or others".to_owned()))
            }
            Some(_) => {
                let line = String::from_utf8_lossy(&line[..line.len().min(200)]);
                Err(Denied::Other(format!("it answers {line:?}")))
            }
            None => Err(NO_HTTP.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        net::{proxy::Scheme, servers::HostPort},
        options::Secret,
    };

    fn begin(login: Option<(String, Secret)>) -> (Connect, Vec<u8>) {
        let proxy = Proxy { scheme: Scheme::Http, server: HostPort::new("p", 3128), login };
        Connect::begin(&proxy, &Target { broker: HostPort::new("::1", 9092), address: None })
    }

    #[test]
    fn it_asks_for_the_broker_and_reads_the_head_of_the_answer() {
        let (connect, first) = begin(Some(("me".to_owned(), Secret::new("pw"))));
        let text = "CONNECT [::1]:9092 HTTP/1.1\r\nHost: [::1]:9092\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n";
        assert_eq!(String::from_utf8(first).unwrap(), text);
        let answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
        for n in 0..answer.len() {
            assert_eq!(connect.handle(&answer[..n]), Ok(Said::Wait), "{n}");
        }
        assert_eq!(
            connect.handle(&[answer, &b"more"[..]].concat()),
            Ok(Said::Connected(answer.len()))
        );
    }

    #[test]
    fn whatever_a_proxy_refuses_is_said() {
        let (connect, _) = begin(None);
        let refused = |answer: &[u8]| {
            let (Denied::Login(text) | Denied::Other(text)) = connect.handle(answer).unwrap_err();
            text
        };
        assert!(
            refused(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").contains("password")
        );
        assert!(refused(b"HTTP/1.0 403 For\x1bbidden\r\n\r\n").contains("403 For\\u{1b}bidden"));
        assert!(refused(b"HTTP/1.0 401 Unauthorized\r\n\r\n").contains("password"));
        assert!(refused(b"\x05\x00").contains("HTTP"));
        assert!(refused(&[b"HTTP/1.1 ".to_vec(), vec![b'2'; LONGEST]].concat()).contains("HTTP"));
    }
}
