//! SOCKS 5 (RFC 1928), alone or with a name and a password (RFC 1929).

use std::net::IpAddr;

use super::{Denied, Proxy, Said, Target};
use crate::wire::SecretBytes;

/// How far it is.
#[derive(Debug)]
pub(in crate::net) struct Socks5 {
    state: State,
    login: Option<SecretBytes>,
    request: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Methods,
    Login,
    Request,
}

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;

impl Socks5 {
    pub(super) fn begin(proxy: &Proxy, target: &Target) -> (Self, Vec<u8>) {
        let login = proxy.login.as_ref().map(|(name, password)| {
            let mut message = vec![1];
            for part in [name.as_str(), password.reveal()] {
                message.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
                message.extend_from_slice(part.as_bytes());
            }
            SecretBytes::from(message)
        });
        let first = match login {
            Some(_) => vec![VERSION, 2, NO_LOGIN, LOGIN],
            None => vec![VERSION, 1, NO_LOGIN],
        };
        (Self { state: State::Methods, login, request: request(target) }, first)
    }

    pub(super) fn handle(&mut self, said: &[u8]) -> Result<Said, Denied> {
        match self.state {
            State::Methods => self.handle_method(said),
            State::Login => match said {
                [_, 0, ..] => Ok(self.ask(2)),
                [_, _, ..] => {
                    Err(Denied::Login("it does not accept the name and the password".to_owned()))
                }
                _ => Ok(Said::Wait),
            },
            State::Request => handle_reply(said),
        }
    }

    fn handle_method(&mut self, said: &[u8]) -> Result<Said, Denied> {
        match said {
            [] | [VERSION] => Ok(Said::Wait),
            [VERSION, NO_LOGIN, ..] => Ok(self.ask(2)),
            [VERSION, LOGIN, ..] if self.login.is_some() => {
                self.state = State::Login;
                Ok(Said::Answer(2, self.login.take().map_or_else(Vec::new, |login| login.0)))
            }
            [VERSION, ..] if self.login.is_some() => {
                Err(Denied::Login("it wants neither nobody nor a name and a password".to_owned()))
            }
            [VERSION, ..] => {
                Err(Denied::Login("it wants a name and a password, or more".to_owned()))
            }
            _ => Err("it does not speak SOCKS 5".into()),
        }
    }

    fn ask(&mut self, taken: usize) -> Said {
        self.state = State::Request;
        Said::Answer(taken, std::mem::take(&mut self.request))
    }
}

/// Connect to the target.
fn request(target: &Target) -> Vec<u8> {
    let mut message = vec![VERSION, 1, 0];
    match target.address.or_else(|| target.broker.host.parse().ok()) {
        Some(IpAddr::V4(address)) => {
            message.push(1);
            message.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            message.push(4);
            message.extend_from_slice(&address.octets());
        }
        None => {
            // No name is longer; one that is, is cut, and not found.
            let name = target.broker.host.as_bytes();
            let name = &name[..name.len().min(255)];
            message.extend_from_slice(&[3, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
            message.extend_from_slice(name);
        }
    }
    message.extend_from_slice(&target.broker.port.to_be_bytes());
    message
}

fn handle_reply(said: &[u8]) -> Result<Said, Denied> {
    let [version, reply, _, kind, rest @ ..] = said else { return Ok(Said::Wait) };
    if *version != VERSION {
        return Err("it does not speak SOCKS 5".into());
    }
    if *reply != 0 {
        return Err(Denied::Other(refusal(*reply)));
    }
    // The address that it connects from: nobody needs it.
    let address = match (kind, rest) {
        (1, _) => 4,
        (4, _) => 16,
        (3, [length, ..]) => 1 + usize::from(*length),
        (3, []) => return Ok(Said::Wait),
        _ => return Err("it answers with an address of no known kind".into()),
    };
    let length = 4 + address + 2;
    Ok(if said.len() < length { Said::Wait } else { Said::Connected(length) })
}

fn refusal(reply: u8) -> String {
    let why = match reply {
        1 => "it failed",
        2 => "its rules do not allow the connection",
        3 => "it does not reach the network",
        4 => "it does not reach the host, or does not know its name",
        5 => "the broker refuses the connection",
        6 => "the connection took too long",
        7 => "it does not connect to anybody",
        8 => "it does not know this kind of address",
        other => return format!("it answers with {other}"),
    };
    why.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{proxy::Scheme, servers::HostPort};

    impl Denied {
        fn says(&self, word: &str) -> bool {
            let (Self::Login(text) | Self::Other(text)) = self;
            text.contains(word)
        }
    }

    fn begin(login: bool, address: Option<IpAddr>) -> (Socks5, Vec<u8>) {
        let login = login.then(|| ("me".to_owned(), crate::options::Secret::new("pw")));
        let proxy = Proxy { scheme: Scheme::Socks5h, server: HostPort::new("p", 1080), login };
        Socks5::begin(&proxy, &Target { broker: HostPort::new("kafka", 9092), address })
    }

    #[test]
    fn it_logs_in_asks_for_the_name_and_is_connected() {
        let (mut socks5, first) = begin(true, None);
        assert_eq!(first, [5, 2, 0, 2]);
        assert_eq!(socks5.handle(&[5]), Ok(Said::Wait));
        assert_eq!(socks5.handle(&[5, 2]), Ok(Said::Answer(2, b"\x01\x02me\x02pw".to_vec())));
        let request = b"\x05\x01\x00\x03\x05kafka\x23\x84".to_vec();
        assert_eq!(socks5.handle(&[1, 0]), Ok(Said::Answer(2, request)));
        let reply = [5, 0, 0, 1, 127, 0, 0, 1, 4, 0];
        for n in 0..reply.len() {
            assert_eq!(socks5.handle(&reply[..n]), Ok(Said::Wait), "{n}");
        }
        assert_eq!(socks5.handle(&reply), Ok(Said::Connected(10)));
    }

    #[test]
    fn an_address_is_asked_for_as_one() {
        let (mut socks5, first) = begin(false, Some([10, 0, 0, 7].into()));
        assert_eq!(first, [5, 1, 0]);
        let request = vec![5, 1, 0, 1, 10, 0, 0, 7, 0x23, 0x84];
        assert_eq!(socks5.handle(&[5, 0]), Ok(Said::Answer(2, request)));
    }

    #[test]
    fn whatever_a_proxy_refuses_is_said() {
        assert!(begin(false, None).0.handle(&[5, 255]).unwrap_err().says("password"));
        assert!(begin(false, None).0.handle(b"HTTP").unwrap_err().says("SOCKS 5"));
        let (mut socks5, _) = begin(true, None);
        assert!(socks5.handle(&[5, 2]).is_ok());
        assert!(socks5.handle(&[1, 1]).unwrap_err().says("does not accept"));
        let (mut socks5, _) = begin(false, None);
        assert!(socks5.handle(&[5, 0]).is_ok());
        assert!(socks5.handle(&[5, 5, 0, 1]).unwrap_err().says("refuses"));
        assert!(socks5.handle(&[5, 0, 0, 9]).is_err());
    }
}
