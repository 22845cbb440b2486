//! Which socket options there are, and how they are put on a socket without naming the operating system's numbers.

use std::{fmt, io, net::SocketAddr, ops::RangeInclusive, time::Duration};

use socket2::{SockRef, TcpKeepalive};

use crate::options::{FromText, Refused, Setting};

/// The names of the socket options that `socket_options` takes.
///
/// The numbers are those that Python's module `socket` has on Linux. Here they are names only: on every operating system the
/// option of this name is set, whatever its number is there.
///
/// ```
/// use kafka_blocking::{ConsumerBuilder, socket::*};
///
/// let builder = ConsumerBuilder::new().socket_options([
///     (IPPROTO_TCP, TCP_NODELAY, 1),
///     (SOL_SOCKET, SO_KEEPALIVE, 1),
///     (IPPROTO_TCP, TCP_KEEPIDLE, 60),
/// ]);
/// let builder = ConsumerBuilder::new().set("socket_options", "TCP_NODELAY=1,SO_KEEPALIVE=1,TCP_KEEPIDLE=60");
/// ```
pub mod socket {
    /// Level of options of every kind of socket.
    pub const SOL_SOCKET: i32 = 1;
    /// Level of TCP's options.
    pub const IPPROTO_TCP: i32 = 6;
    /// Level of IPv4's options.
    pub const IPPROTO_IP: i32 = 0;
    /// Level of IPv6's options.
    pub const IPPROTO_IPV6: i32 = 41;

    /// `SOL_SOCKET`: size of the send buffer, in bytes. The option `send_buffer_bytes` sets it too.
    pub const SO_SNDBUF: i32 = 7;
    /// `SOL_SOCKET`: size of the receive buffer, in bytes. The option `receive_buffer_bytes` sets it too.
    pub const SO_RCVBUF: i32 = 8;
    /// `SOL_SOCKET`: whether silent connections are probed.
    pub const SO_KEEPALIVE: i32 = 9;

    /// `IPPROTO_TCP`: whether small writes are sent at once.
    pub const TCP_NODELAY: i32 = 1;
    /// `IPPROTO_TCP`: seconds of silence before the first probe. Needs `SO_KEEPALIVE`.
    pub const TCP_KEEPIDLE: i32 = 4;
    /// `IPPROTO_TCP`: seconds between probes. Needs `SO_KEEPALIVE`.
    pub const TCP_KEEPINTVL: i32 = 5;
    /// `IPPROTO_TCP`: unanswered probes after which the connection is given up. Needs `SO_KEEPALIVE`.
    pub const TCP_KEEPCNT: i32 = 6;
    /// `IPPROTO_TCP`: milliseconds that sent bytes may stay unacknowledged, 0 for the system's default. Linux only.
    pub const TCP_USER_TIMEOUT: i32 = 18;

    /// `IPPROTO_IP`: type of service. Acts on connections over IPv4.
    pub const IP_TOS: i32 = 1;
    /// `IPPROTO_IP`: hops that a packet may take. Acts on connections over IPv4.
    pub const IP_TTL: i32 = 2;
    /// `IPPROTO_IPV6`: traffic class. Acts on connections over IPv6.
    pub const IPV6_TCLASS: i32 = 67;
}

/// The value of `socket_options`: options to put on each connection's socket, in order.
///
/// Given as a list of `(level, name, value)` with the constants of the module [`socket`](crate::socket), or as text,
/// `"TCP_NODELAY=1,SO_KEEPALIVE=1"`. An empty list leaves all options as the system has them.
///
/// ```
/// use kafka_blocking::{ConsumerBuilder, socket};
///
/// let builder = ConsumerBuilder::new().socket_options([
///     (socket::IPPROTO_TCP, socket::TCP_NODELAY, 1),
///     (socket::SOL_SOCKET, socket::SO_KEEPALIVE, 1),
/// ]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions(Vec<SocketOption>);

impl SocketOptions {
    /// The options in the order in which they were given.
    pub(crate) fn into_vec(self) -> Vec<SocketOption> {
        self.0
    }

    fn from_tuples(tuples: &[(i32, i32, i32)]) -> Result<Self, Refused> {
        tuples.iter().map(|&tuple| from_tuple(tuple)).collect::<Result<_, _>>().map(Self)
    }
}

impl FromText for SocketOptions {
    fn from_text(text: &str) -> Result<Self, Refused> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(from_assignment).collect::<Result<_, _>>().map(Self)
    }
}

impl<const N: usize> Setting<SocketOptions> for [(i32, i32, i32); N] {
    fn into_value(self) -> Result<SocketOptions, Refused> {
        SocketOptions::from_tuples(&self)
    }
}

impl Setting<SocketOptions> for Vec<(i32, i32, i32)> {
    fn into_value(self) -> Result<SocketOptions, Refused> {
        SocketOptions::from_tuples(&self)
    }
}

impl Setting<SocketOptions> for &[(i32, i32, i32)] {
    fn into_value(self) -> Result<SocketOptions, Refused> {
        SocketOptions::from_tuples(self)
    }
}

/// One socket option that is known, and a value that it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOption {
    name: Name,
    value: i32,
}

impl fmt::Display for SocketOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}={}", self.name, self.value)
    }
}

/// The socket option of a receive buffer of so many bytes, at least 1.
pub(crate) fn receive_buffer(bytes: i32) -> SocketOption {
    SocketOption { name: Name::SO_RCVBUF, value: bytes }
}

/// The socket option of a send buffer of so many bytes, at least 1.
pub(crate) fn send_buffer(bytes: i32) -> SocketOption {
    SocketOption { name: Name::SO_SNDBUF, value: bytes }
}

/// Puts the options on a socket, in their order.
///
/// To be called before the socket connects, since the receive buffer decides what window is announced then. An error names
/// the option that the system refused. Options of IPv4 are left out where `remote` is an address of IPv6, and the other way round.
pub fn apply(socket: &SockRef<'_>, remote: SocketAddr, options: &[SocketOption]) -> io::Result<()> {
    for option in options {
        apply_one(socket, remote, *option)
            .map_err(|error| io::Error::new(error.kind(), format!("{option}: {error}")))?;
    }
    let keepalive = keepalive_details(options);
    if let Some(details) = keepalive {
        apply_keepalive(socket, &details)
            .map_err(|error| io::Error::new(error.kind(), format!("TCP_KEEP…: {error}")))?;
    }
    Ok(())
}

/// The known options. `Debug` is the constant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "they are the names of the constants")]
enum Name {
    SO_SNDBUF,
    SO_RCVBUF,
    SO_KEEPALIVE,
    TCP_NODELAY,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_KEEPCNT,
    TCP_USER_TIMEOUT,
    IP_TOS,
    IP_TTL,
    IPV6_TCLASS,
}

/// One row of the table of known options.
struct Known {
    level: i32,
    number: i32,
    name: Name,
    range: RangeInclusive<i32>,
    /// Whether the operating system that this was built for has the option.
    available: bool,
}

const fn known(level: i32, number: i32, name: Name, range: RangeInclusive<i32>) -> Known {
    Known { level, number, name, range, available: true }
}

/// A switch is off at 0 and on at any other value, as in C.
const SWITCH: RangeInclusive<i32> = i32::MIN..=i32::MAX;

static KNOWN: [Known; 11] = [
    known(socket::SOL_SOCKET, socket::SO_SNDBUF, Name::SO_SNDBUF, 1..=i32::MAX),
    known(socket::SOL_SOCKET, socket::SO_RCVBUF, Name::SO_RCVBUF, 1..=i32::MAX),
    known(socket::SOL_SOCKET, socket::SO_KEEPALIVE, Name::SO_KEEPALIVE, SWITCH),
    known(socket::IPPROTO_TCP, socket::TCP_NODELAY, Name::TCP_NODELAY, SWITCH),
    known(socket::IPPROTO_TCP, socket::TCP_KEEPIDLE, Name::TCP_KEEPIDLE, 1..=32767),
    known(socket::IPPROTO_TCP, socket::TCP_KEEPINTVL, Name::TCP_KEEPINTVL, 1..=32767),
    known(socket::IPPROTO_TCP, socket::TCP_KEEPCNT, Name::TCP_KEEPCNT, 1..=127),
    Known {
        available: cfg!(any(target_os = "linux", target_os = "android")),
        ..known(socket::IPPROTO_TCP, socket::TCP_USER_TIMEOUT, Name::TCP_USER_TIMEOUT, 0..=i32::MAX)
    },
    known(socket::IPPROTO_IP, socket::IP_TOS, Name::IP_TOS, 0..=255),
    known(socket::IPPROTO_IP, socket::IP_TTL, Name::IP_TTL, 1..=255),
    Known {
        available: cfg!(any(target_os = "linux", target_os = "android", target_os = "macos")),
        ..known(socket::IPPROTO_IPV6, socket::IPV6_TCLASS, Name::IPV6_TCLASS, 0..=255)
    },
];

fn from_tuple((level, number, value): (i32, i32, i32)) -> Result<SocketOption, Refused> {
    match KNOWN.iter().find(|known| known.level == level && known.number == number) {
        Some(known) => checked(known, value),
        None => Err(Refused::new(format!("({level}, {number}, {value})"), known_names())),
    }
}

fn from_assignment(text: &str) -> Result<SocketOption, Refused> {
    let text = text.trim();
    let Some((name, value)) = text.split_once('=') else {
        return Err(Refused::new(text, "must be NAME=value,…, such as TCP_NODELAY=1"));
    };
    let Some(known) = KNOWN.iter().find(|known| format!("{:?}", known.name) == name.trim()) else {
        return Err(Refused::new(text, known_names()));
    };
    let value = value
        .trim()
        .parse()
        .map_err(|_| Refused::new(text, "must have a whole number as value"))?;
    checked(known, value)
}

fn checked(known: &Known, value: i32) -> Result<SocketOption, Refused> {
    let option = SocketOption { name: known.name, value };
    if !known.available {
        return Err(Refused::new(option, "does not exist on this operating system"));
    }
    if !known.range.contains(&value) {
        let (min, max) = (known.range.start(), known.range.end());
        return Err(Refused::new(option, format!("must have a value from {min} to {max}")));
    }
    Ok(option)
}

fn known_names() -> String {
    let names: Vec<String> = KNOWN.iter().map(|known| format!("{:?}", known.name)).collect();
    format!("must be one of the constants in kafka_blocking::socket: {}", names.join(", "))
}

fn apply_one(
    socket: &SockRef<'_>,
    remote: SocketAddr,
    SocketOption { name, value }: SocketOption,
) -> io::Result<()> {
    // The ranges of the table have no negative number but for switches.
    let size = usize::try_from(value).unwrap_or(0);
    let small = value.unsigned_abs();
    match name {
        Name::SO_SNDBUF => socket.set_send_buffer_size(size),
        Name::SO_RCVBUF => socket.set_recv_buffer_size(size),
        Name::SO_KEEPALIVE => socket.set_keepalive(value != 0),
        Name::TCP_NODELAY => socket.set_tcp_nodelay(value != 0),
        Name::TCP_USER_TIMEOUT => set_user_timeout(socket, small),
        Name::IP_TOS if remote.is_ipv4() => socket.set_tos_v4(small),
        Name::IP_TTL if remote.is_ipv4() => socket.set_ttl_v4(small),
        Name::IPV6_TCLASS if remote.is_ipv6() => set_traffic_class(socket, small),
        // Those of the other family; the three of keepalive are set together.
        Name::IP_TOS | Name::IP_TTL | Name::IPV6_TCLASS => Ok(()),
        Name::TCP_KEEPIDLE | Name::TCP_KEEPINTVL | Name::TCP_KEEPCNT => Ok(()),
    }
}

/// What the options say of keepalive; set together, since Windows sets them together only.
fn keepalive_details(options: &[SocketOption]) -> Option<TcpKeepalive> {
    let mut details = None;
    for &SocketOption { name, value } in options {
        let value = value.unsigned_abs();
        let seconds = Duration::from_secs(value.into());
        let before = details.clone().unwrap_or_else(TcpKeepalive::new);
        match name {
            Name::TCP_KEEPIDLE => details = Some(before.with_time(seconds)),
            Name::TCP_KEEPINTVL => details = Some(before.with_interval(seconds)),
            Name::TCP_KEEPCNT => details = Some(before.with_retries(value)),
            _ => {}
        }
    }
    details
}

/// Sets the details alone: socket2 switches keepalive on with them, which `setsockopt` does not.
fn apply_keepalive(socket: &SockRef<'_>, details: &TcpKeepalive) -> io::Result<()> {
    let was_on = socket.keepalive()?;
    socket.set_tcp_keepalive(details)?;
    if was_on { Ok(()) } else { socket.set_keepalive(false) }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_user_timeout(socket: &SockRef<'_>, milliseconds: u32) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(Duration::from_millis(milliseconds.into())))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_user_timeout(_: &SockRef<'_>, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
fn set_traffic_class(socket: &SockRef<'_>, class: u32) -> io::Result<()> {
    socket.set_tclass_v6(class)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
fn set_traffic_class(_: &SockRef<'_>, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use socket2::{Domain, Socket, Type};

    use super::{socket::*, *};

    fn options(setting: impl Setting<SocketOptions>) -> Vec<SocketOption> {
        setting.into_value().unwrap().into_vec()
    }

    fn refused(setting: impl Setting<SocketOptions>) -> Refused {
        setting.into_value().unwrap_err()
    }

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9092);

    fn tcp() -> Socket {
        Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
    }

    #[test]
    fn tuples_and_text_name_the_same_options() {
        let tuples = options([(IPPROTO_TCP, TCP_NODELAY, 1), (SOL_SOCKET, SO_KEEPALIVE, 0)]);
        assert_eq!(options("TCP_NODELAY=1, SO_KEEPALIVE = 0"), tuples);
        assert_eq!(options(vec![(6, 1, 1), (1, 9, 0)]), tuples);
        assert_eq!(options(""), options([]));
    }

    #[test]
    fn unknown_options_are_refused_with_the_names_of_the_known() {
        for refused in [refused([(1, 4711, 1)]), refused("SO_LINGER=1")] {
            assert!(refused.allowed.contains("SO_KEEPALIVE, TCP_NODELAY"), "{refused:?}");
        }
        assert_eq!(refused([(1, 4711, 1)]).value, "(1, 4711, 1)");
        assert!(refused("TCP_NODELAY").allowed.contains("NAME=value"));
        assert!(refused("TCP_NODELAY=on").allowed.contains("whole number"));
    }

    #[test]
    fn a_value_out_of_the_range_of_its_option_is_refused() {
        let refused = refused([(IPPROTO_TCP, TCP_KEEPIDLE, 0)]);
        assert_eq!(refused, Refused::new("TCP_KEEPIDLE=0", "must have a value from 1 to 32767"));
    }

    #[test]
    fn every_option_reaches_the_socket() {
        let socket = tcp();
        let text = "TCP_NODELAY=1,SO_KEEPALIVE=1,TCP_KEEPIDLE=61,TCP_KEEPINTVL=7,TCP_KEEPCNT=3,\
                    IP_TOS=16,IP_TTL=33,SO_SNDBUF=65536,SO_RCVBUF=32768";
        apply(&SockRef::from(&socket), LOOPBACK, &options(text)).unwrap();
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(61));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(socket.tos_v4().unwrap(), 16);
        assert_eq!(socket.ttl_v4().unwrap(), 33);
        assert!(socket.send_buffer_size().unwrap() >= 65536);
        assert!(socket.recv_buffer_size().unwrap() >= 32768);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_options_of_linux_reach_the_socket() {
        let socket = tcp();
        apply(&SockRef::from(&socket), LOOPBACK, &options("TCP_USER_TIMEOUT=1500")).unwrap();
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn the_details_of_keepalive_do_not_switch_it_on() {
        let socket = tcp();
        apply(&SockRef::from(&socket), LOOPBACK, &options("TCP_KEEPIDLE=61")).unwrap();
        assert!(!socket.keepalive().unwrap());
    }

    #[test]
    fn options_of_the_other_address_family_are_left_out() {
        let socket = tcp();
        apply(&SockRef::from(&socket), LOOPBACK, &options("IPV6_TCLASS=8")).unwrap();
        let before = socket.tos_v4().unwrap();
        let over_ipv6 = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), 9092);
        apply(&SockRef::from(&socket), over_ipv6, &options("IP_TOS=16")).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), before);
    }
}
