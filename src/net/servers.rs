//! Which servers a text names: the parsing of `bootstrap_servers`.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use crate::options::{FromList, FromText, Refused};

/// The port of a server that is named without one.
pub const DEFAULT_PORT: u16 = 9092;

/// A host, by name or by address, and a port of it.
///
/// Displays as `host:port`, an IPv6 address as `[::1]:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The name or the address, without the brackets of an IPv6 address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// Names a port of a host.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// What a broker says of where another is; `None` where that cannot be: the name goes into a certificate's check, and to
    /// proxies.
    pub(crate) fn from_broker(host: &str, port: i32) -> Option<Self> {
        let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
        let is_name = is_host_name(host) && !host.starts_with('.') && !host.is_empty();
        (is_name || host.parse::<IpAddr>().is_ok()).then(|| Self::new(host, port))
    }

    /// Reads `host:port`; `None` where it is anything else, or has no port.
    pub(crate) fn parse_with_port(text: &str) -> Option<Self> {
        split_port(text)?.1?;
        parse_server(text).ok()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The value of `bootstrap_servers`: one server or more, each once.
///
/// Given as one string, with commas between the servers, or as a list of strings. Each is `host`, `host:port`,
/// `[IPv6]:port` or an IPv6 address alone; the port is 9092 where there is none, and a prefix such as `PLAINTEXT://` is left out.
///
/// ```
/// use kafka_blocking::ConsumerBuilder;
///
/// let builder = ConsumerBuilder::new().bootstrap_servers(["a.example", "[::1]:19092"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers(Vec<HostPort>);

impl Servers {
    /// The servers in the order in which they were given; at least one.
    pub(crate) fn into_vec(self) -> Vec<HostPort> {
        self.0
    }

    fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Refused> {
        let mut servers: Vec<HostPort> = Vec::new();
        for text in texts {
            for entry in text.split(',') {
                let server = parse_server(entry.trim())?;
                let same = |other: &HostPort| {
                    other.port == server.port && other.host.eq_ignore_ascii_case(&server.host)
                };
                if !servers.iter().any(same) {
                    servers.push(server);
                }
            }
        }
        if servers.is_empty() {
            return Err(Refused::new("", "must name one server at least, as host[:port]"));
        }
        Ok(Self(servers))
    }
}

impl FromText for Servers {
    fn from_text(text: &str) -> Result<Self, Refused> {
        Self::parse([text])
    }
}

impl FromList for Servers {
    fn from_list<'a>(entries: impl Iterator<Item = &'a str>) -> Result<Self, Refused> {
        Self::parse(entries)
    }
}

fn parse_server(entry: &str) -> Result<HostPort, Refused> {
    let refuse = |why: &str| Err(Refused::new(entry, why));
    let address = entry.split_once("://").map_or(entry, |(_protocol, rest)| rest);
    if address.is_empty() {
        return refuse("has an empty entry; each must be host[:port]");
    }

    let Some((host, port)) = split_port(address) else {
        return refuse("must be host[:port]; an IPv6 address with a port is [::1]:9092");
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(digits) => match parse_port(digits) {
            Some(port) => port,
            None => return refuse("must have a port from 1 to 65535"),
        },
    };
    if host.contains(':') {
        return match parse_ipv6(host) {
            Some(host) => Ok(HostPort { host, port }),
            None => refuse("must be host[:port]; what is before the port is no IPv6 address"),
        };
    }
    if host.is_empty() {
        return refuse("must have a host before the port");
    }
    if !is_host_name(host) {
        return refuse("has a host that can be neither a name nor an address");
    }
    Ok(HostPort::new(host, port))
}

/// Divides into host and port; brackets must be a pair around an IPv6 address.
fn split_port(address: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        // Without a colon it is a name, which needs no brackets: more likely a mistake.
        if !host.contains(':') {
            return None;
        }
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match address.split_once(':') {
        None => Some((address, None)),
        Some((_, rest)) if rest.contains(':') => Some((address, None)),
        Some((host, port)) => Some((host, Some(port))),
    }
}

/// Digits only: the standard library takes `+9092` as well.
fn parse_port(digits: &str) -> Option<u16> {
    let port: u16 =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    (port != 0).then_some(port)
}

/// The address in its usual spelling, with its zone, as `fe80::1%eth0`.
fn parse_ipv6(host: &str) -> Option<String> {
    match host.split_once('%') {
        None => host.parse().ok().map(|address: Ipv6Addr| address.to_string()),
        Some((_, zone)) if zone.is_empty() || !is_host_name(zone) => None,
        Some((address, zone)) => {
            address.parse().ok().map(|address: Ipv6Addr| format!("{address}%{zone}"))
        }
    }
}

/// Underscores and letters beyond ASCII are left to the resolver, which may know such names.
fn is_host_name(host: &str) -> bool {
    // DNS allows 253 characters; what is far longer is not worth asking for.
    host.len() <= 255 && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Setting;

    fn shown(setting: impl Setting<Servers>) -> Vec<String> {
        setting.into_value().unwrap().into_vec().iter().map(ToString::to_string).collect()
    }

    fn refused(text: &str) -> Refused {
        let value: Result<Servers, Refused> = text.into_value();
        value.expect_err(text)
    }

    #[test]
    fn fault_283_a_broker_names_only_hosts_that_can_be() {
        for host in ["kafka.example", "kafka.example.", "10.0.0.7", "::1", "a_b-c"] {
            assert_eq!(HostPort::from_broker(host, 1), Some(HostPort::new(host, 1)));
        }
        let long = "x".repeat(300);
        for host in ["", ".", ".example", "a\0b", "a\r\nHost: b", "a b", "a:1", &long] {
            assert_eq!(HostPort::from_broker(host, 1), None, "{host:?}");
        }
        assert_eq!(HostPort::from_broker("a", 0), None);
        assert_eq!(HostPort::from_broker("a", -1), None);
        assert_eq!(HostPort::from_broker("a", 65_536), None);
    }

    #[test]
    fn fault_235_a_server_without_a_port_has_port_9092() {
        assert_eq!(shown("localhost"), ["localhost:9092"]);
        assert_eq!(shown("[::1]"), ["[::1]:9092"]);
        assert_eq!(shown("::1"), ["[::1]:9092"]);
        assert_eq!(shown("10.0.0.1"), ["10.0.0.1:9092"]);
    }

    #[test]
    fn fault_235_an_ipv6_address_stands_in_brackets_before_its_port() {
        assert_eq!(shown("[::1]:19092"), ["[::1]:19092"]);
        assert_eq!(shown("[0:0:0::1]:1"), ["[::1]:1"]);
        assert_eq!(shown("[fe80::1%eth0]:1"), ["[fe80::1%eth0]:1"]);
        for text in
            ["[::1", "::1]", "[::1]9092", "[::g]:1", "a:1:2", "[a]:1", "[]:1", "[fe80::1%]:1"]
        {
            assert!(refused(text).allowed.contains("must be host[:port]"), "{text}");
        }
    }

    #[test]
    fn fault_235_a_list_is_taken_in_any_form_without_spaces_and_duplicates() {
        let expected = ["a:1", "b:2", "c:9092"];
        assert_eq!(shown(" a:1, b:2 ,a:1,c,C:9092 "), expected);
        assert_eq!(shown(["a:1", "b:2", "c"]), expected);
        assert_eq!(shown(["a:1,b:2", " c"]), expected);
        assert_eq!(shown(vec!["a:1".to_owned(), "b:2".to_owned(), "c".to_owned()]), expected);
        assert_eq!(shown(&["a:1", "b:2", "c"][..]), expected);
    }

    #[test]
    fn fault_235_the_protocol_before_a_server_is_left_out() {
        assert_eq!(shown("PLAINTEXT://a:1,SASL_SSL://[::1]:2"), ["a:1", "[::1]:2"]);
    }

    #[test]
    fn fault_235_a_port_is_a_number_from_1_to_65535() {
        assert_eq!(shown("a:65535,a:1"), ["a:65535", "a:1"]);
        for text in
            ["a:0", "a:65536", "a:abc", "a:", "a:+1", "a:-1", "a: 1", "a:99999999999999999999"]
        {
            let refused = refused(text);
            assert_eq!(refused.value, text);
            assert_eq!(refused.allowed, "must have a port from 1 to 65535");
        }
    }

    #[test]
    fn fault_235_an_empty_entry_an_empty_host_and_an_empty_list_are_refused() {
        for text in ["", " ", ",", "a,,b", "a,", "PLAINTEXT://"] {
            assert!(refused(text).allowed.contains("empty entry"), "{text:?}");
        }
        assert_eq!(refused(":9092").allowed, "must have a host before the port");
        let none: Result<Servers, Refused> = Vec::<String>::new().into_value();
        assert!(none.unwrap_err().allowed.contains("one server at least"));
    }

    #[test]
    fn fault_235_a_host_with_characters_of_something_else_is_refused() {
        for text in ["a b", "user@host:1", "http://a/path", "a;b", "a\u{0}", "kafka://a:1/"] {
            assert_eq!(refused(text).value, text);
        }
        assert!(!refused(&"x".repeat(256)).allowed.is_empty());
        assert_eq!(shown("my_broker-1.example.org"), ["my_broker-1.example.org:9092"]);
    }

    /// A generator whose numbers are the same in every run.
    fn random(state: &mut u64) -> usize {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*state >> 33).unwrap()
    }

    #[test]
    fn fault_235_whatever_is_accepted_reads_the_same_when_it_is_displayed() {
        let pieces = [
            "a", "b.c", "::1", "[::1]", "[", "]", ":", "9092", "0", "65536", ",", " ", "://", "%",
            "é", "/",
        ];
        let (mut state, mut accepted) = (1, 0);
        for _ in 0..10_000 {
            let text: String = (0..1 + random(&mut state) % 6)
                .map(|_| pieces[random(&mut state) % pieces.len()])
                .collect();
            let Ok(servers) = Servers::from_text(&text) else { continue };
            let displayed: Vec<String> = servers.0.iter().map(ToString::to_string).collect();
            assert_eq!(displayed.into_value(), Ok(servers), "{text}");
            accepted += 1;
        }
        assert!(accepted > 500, "only {accepted} were accepted: the test shows little");
    }
}
