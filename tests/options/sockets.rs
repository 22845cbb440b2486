//! What the operating system says of the sockets that a consumer has made.

use std::fs;

use kafka_blocking::{KafkaConsumer, socket::*};
use rustix::process::{self, PidfdFlags, PidfdGetfdFlags};
use scripted_broker::ScriptedBroker;
use socket2::{SockRef, Socket};

use crate::support::{broker, next, reader};

#[test]
fn option_receive_buffer_bytes() {
    let broker = broker(&["a"]);
    let consumer = reader(&broker).receive_buffer_bytes(50_000).build().unwrap();
    for socket in sockets(&consumer, &broker) {
        // Linux doubles it, for its own bookkeeping.
        assert_eq!(socket.recv_buffer_size().unwrap(), 100_000);
    }
}

#[test]
fn option_send_buffer_bytes() {
    let broker = broker(&["a"]);
    let consumer = reader(&broker).send_buffer_bytes(40_000).build().unwrap();
    for socket in sockets(&consumer, &broker) {
        assert_eq!(socket.send_buffer_size().unwrap(), 80_000);
    }
}

#[test]
fn option_socket_options() {
    let broker = broker(&["a"]);
    let options = [
        (IPPROTO_TCP, TCP_NODELAY, 0),
        (SOL_SOCKET, SO_KEEPALIVE, 1),
        (IPPROTO_TCP, TCP_KEEPIDLE, 77),
    ];
    let consumer = reader(&broker).socket_options(options).build().unwrap();
    for socket in sockets(&consumer, &broker) {
        assert!(!socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 77);
    }
    let with_defaults = reader(&broker).build().unwrap();
    drop(consumer);
    for socket in sockets(&with_defaults, &broker) {
        assert!(socket.tcp_nodelay().unwrap());
        assert!(!socket.keepalive().unwrap());
    }
}

/// The sockets of a consumer, which is the broker's only one, after it has read a record.
fn sockets(consumer: &KafkaConsumer, broker: &ScriptedBroker) -> Vec<Socket> {
    next(consumer);
    let found = sockets_to(broker.address_of(1).port());
    assert_eq!(found.len(), 2, "one for fetches and one for all else");
    found
}

/// Duplicates of the sockets of this process that are connected to a port.
fn sockets_to(port: u16) -> Vec<Socket> {
    let links: Vec<String> = connected_to(port).iter().map(|i| format!("socket:[{i}]")).collect();
    let this = process::pidfd_open(process::getpid(), PidfdFlags::empty()).unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        // Other tests close theirs meanwhile.
        let Ok(link) = fs::read_link(entry.path()) else { continue };
        if links.iter().any(|l| link.as_os_str() == l.as_str()) {
            let number = entry.file_name().to_string_lossy().parse().unwrap();
            let copy = process::pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).unwrap();
            let socket = Socket::from(copy);
            let peer = SockRef::from(&socket).peer_addr().unwrap().as_socket().unwrap();
            assert_eq!(peer.port(), port);
            found.push(socket);
        }
    }
    found
}

/// The inodes of this machine's connections to a port: column 3 is where to, column 10 the inode.
fn connected_to(port: u16) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let peer = format!("0100007F:{port:04X}");
    rows.filter(|row| row[2] == peer).map(|row| row[9].to_owned()).collect()
}
