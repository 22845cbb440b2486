//! Which ways lead to a broker: its addresses, or those of a proxy.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::node::Route;
use crate::net::{proxy::Proxy, resolver::Lookup, servers::HostPort};

/// How the ways to a broker are found.
pub(super) enum Plan {
    /// They are known.
    Routes(VecDeque<Route>),
    /// By asking.
    Ask(Lookup),
}

/// How the ways to `broker` are found.
pub(super) fn plan(proxy: Option<&Proxy>, broker: &HostPort) -> Plan {
    let address = |host: &str| host.parse::<IpAddr>().ok();
    let own = address(&broker.host);
    let socket_host = proxy.map_or(&broker.host, |proxy| &proxy.server.host);
    if proxy.is_some_and(Proxy::is_told_addresses) && own.is_none() {
        return Plan::Ask(Lookup::Route(socket_host.clone(), broker.host.clone()));
    }
    match address(socket_host) {
        Some(socket) => Plan::Routes(found(proxy, broker, &[socket], &[])),
        None => Plan::Ask(Lookup::Addresses(socket_host.clone())),
    }
}

/// The ways to `broker` by these addresses of sockets, to these of the broker where a proxy wants to know them.
pub(super) fn found(
    proxy: Option<&Proxy>,
    broker: &HostPort,
    sockets: &[IpAddr],
    behind: &[IpAddr],
) -> VecDeque<Route> {
    /// Of names with many addresses not every pair is tried.
    const MOST: usize = 64;
    let port = proxy.map_or(broker.port, |proxy| proxy.server.port);
    let sockets = sockets.iter().map(|ip| SocketAddr::new(*ip, port));
    if proxy.is_none_or(|proxy| !proxy.is_told_addresses()) || broker.host.parse::<IpAddr>().is_ok()
    {
        return sockets.map(|socket| Route { socket, behind: None }).collect();
    }
    let pairs =
        sockets.flat_map(|socket| behind.iter().map(move |ip| Route { socket, behind: Some(*ip) }));
    pairs.take(MOST).collect()
}
