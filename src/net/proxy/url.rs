//! Which proxy a text names: the parsing of `proxy_url`.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::{
    net::servers::HostPort,
    options::{FromText, Refused, Secret, Setting},
};

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// SOCKS 5; the client looks up the broker's name.
    Socks5,
    /// SOCKS 5; the proxy looks up the broker's name.
    Socks5h,
    /// HTTP's CONNECT; the proxy looks up the broker's name.
    Http,
}

/// A proxy: the value of `proxy_url`. What is displayed of it has no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(crate) scheme: Scheme,
    pub(crate) server: HostPort,
    /// The name and the password that it wants.
    pub(crate) login: Option<(String, Secret)>,
}

impl Proxy {
    /// Whether the client looks up brokers' names.
    pub(crate) fn is_told_addresses(&self) -> bool {
        self.scheme == Scheme::Socks5
    }
}

impl FromText for Option<Proxy> {
    fn from_text(text: &str) -> Result<Self, Refused> {
        if text.is_empty() {
            return Ok(None);
        }
        parse(text).map(Some)
    }
}

impl Setting<Self> for Option<Proxy> {
    fn into_value(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

fn parse(text: &str) -> Result<Proxy, Refused> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (login, address) = match rest.rsplit_once('@') {
        Some((login, address)) => (Some(login), address),
        None => (None, rest),
    };
    // What is shown has no password in it.
    let shown = match login {
        Some(_) => format!("{scheme}://…@{address}"),
        None => text.to_owned(),
    };
    let refuse = |why: &str| Err(Refused::new(&shown, why));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "socks5" => Scheme::Socks5,
        "socks5h" => Scheme::Socks5h,
        "http" => Scheme::Http,
        _ => return refuse("must begin with socks5://, socks5h:// or http://"),
    };
    let Some(server) = HostPort::parse_with_port(address.trim_end_matches('/')) else {
        return refuse("must have a host and a port, as in socks5://proxy.example:1080");
    };
    let login = match login.map(parse_login) {
        None => None,
        Some(Some(login)) => Some(login),
        Some(None) => {
            return refuse(
                "must have a name and a password of 1 to 255 bytes before the @, percent-encoded",
            );
        }
    };
    Ok(Proxy { scheme, server, login })
}

fn parse_login(text: &str) -> Option<(String, Secret)> {
    // As SOCKS counts them.
    const LENGTHS: std::ops::RangeInclusive<usize> = 1..=255;
    let (name, password) = text.split_once(':')?;
    let decode = |part: &str| {
        let text = percent_decode_str(part).decode_utf8().ok()?.into_owned();
        (LENGTHS.contains(&text.len()) && !text.contains(char::is_control)).then_some(text)
    };
    Some((decode(name)?, Secret::new(decode(password)?)))
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Socks5 => "socks5",
            Scheme::Socks5h => "socks5h",
            Scheme::Http => "http",
        };
        write!(f, "{scheme}://{}", self.server)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_a_scheme_a_host_a_port_and_perhaps_a_login() {
        let proxy = parse("SOCKS5h://alice:p%40ss%3A@[::1]:1080").unwrap();
        assert_eq!(
            (proxy.scheme, proxy.to_string().as_str()),
            (Scheme::Socks5h, "socks5h://[::1]:1080")
        );
        assert_eq!(proxy.login, Some(("alice".to_owned(), Secret::new("p@ss:"))));
        assert_eq!(parse("http://proxy.example:3128/").unwrap().server.port, 3128);
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for text in [
            "proxy:1080",
            "https://proxy:1080",
            "socks4://proxy:1080",
            "socks5://proxy",
            "socks5://proxy:0",
            "socks5://:1080",
            "socks5://hunter2@proxy:1080",
            "socks5://a:@proxy:1080",
            "socks5://alice:hunter2@proxy",
            "socks5://alice:hunter2%0a@proxy:1080",
        ] {
            let refused = parse(text).expect_err(text);
            assert!(!format!("{refused:?}").contains("hunter2"), "{text}");
        }
    }
}
