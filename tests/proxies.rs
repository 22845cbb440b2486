//! Brokers that are reached through a proxy, and proxies that do not let us through.

#![allow(clippy::disallowed_methods, reason = "tests look at how long calls take")]

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use kafka_blocking::{ConsumerBuilder, Error, KafkaConsumer, Resolver};
use scripted_broker::{ScriptedBroker, watch_logs};

/// A proxy that does what a proxy does, and remembers whom it was asked for.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Asks for a login, where one is given, and connects to nobody but `broker`, whatever it is called.
    fn start(login: Option<(&'static str, &'static str)>, broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let seen = seen.clone();
                thread::spawn(move || {
                    // A client that hangs up is nothing to complain about.
                    let _ = serve(client, login, broker, &seen);
                });
            }
        });
        Self { address, asked }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.dedup();
        asked
    }
}

fn serve(
    mut client: TcpStream,
    login: Option<(&str, &str)>,
    broker: SocketAddr,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut first = [0];
    client.read_exact(&mut first)?;
    let target =
        if first[0] == 5 { socks5(&mut client, login)? } else { http(&mut client, first[0])? };
    let Some(target) = target else { return Ok(()) };
    asked.lock().unwrap().push(target);
    let server = TcpStream::connect(broker)?;
    let reply: &[u8] =
        if first[0] == 5 { &[5, 0, 0, 1, 127, 0, 0, 1, 0, 0] } else { b"HTTP/1.1 200 OK\r\n\r\n" };
    client.write_all(reply)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    io::copy(&mut &server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

fn socks5(client: &mut TcpStream, login: Option<(&str, &str)>) -> io::Result<Option<String>> {
    let methods = counted(client)?;
    match login {
        None => client.write_all(&[5, 0])?,
        Some(_) if !methods.contains(&2) => return client.write_all(&[5, 255]).map(|()| None),
        Some((name, password)) => {
            client.write_all(&[5, 2])?;
            client.read_exact(&mut [0])?;
            let right =
                [counted(client)?, counted(client)?] == [name.as_bytes(), password.as_bytes()];
            client.write_all(&[1, u8::from(!right)])?;
            if !right {
                return Ok(None);
            }
        }
    }
    let mut head = [0; 4];
    client.read_exact(&mut head)?;
    let host = if head[3] == 3 {
        String::from_utf8(counted(client)?).unwrap()
    } else {
        let mut ip = [0; 4];
        client.read_exact(&mut ip)?;
        IpAddr::from(ip).to_string()
    };
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    Ok(Some(format!("{host}:{}", u16::from_be_bytes(port))))
}

fn counted(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut n = [0];
    client.read_exact(&mut n)?;
    let mut bytes = vec![0; n[0].into()];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn http(client: &mut TcpStream, first: u8) -> io::Result<Option<String>> {
    let mut head = vec![first];
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    Ok(head.split(' ').nth(1).map(str::to_owned))
}

/// Whatever is done with it, nobody logs a secret.
fn broker() -> ScriptedBroker {
    watch_logs();
    let broker = ScriptedBroker::start();
    broker.create_topic("t", 1);
    broker.append("t", 0, ["a", "b"]);
    broker
}

/// Nobody else knows this name.
const NAME: &str = "kafka.invalid";

/// A broker that is known by name only, and reads through a proxy.
fn builder(broker: &ScriptedBroker, proxy: &str) -> ConsumerBuilder {
    let port = broker.address_of(1).port();
    broker.set_advertised(1, NAME, port);
    KafkaConsumer::builder()
        .bootstrap_servers(format!("{NAME}:{port}"))
        .topics("t")
        .auto_offset_reset("earliest")
        .proxy_url(proxy)
}

fn read(builder: ConsumerBuilder) -> usize {
    let consumer = builder.build().unwrap();
    consumer.into_iter().take(2).map(Result::unwrap).count()
}

/// Why nobody could be reached.
fn cause(builder: ConsumerBuilder) -> String {
    let begin = Instant::now();
    let error = builder.bootstrap_timeout_ms(400).build().unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(2), "{error}");
    let Error::NoBrokersAvailable(cause) = error else { panic!("{error:?}") };
    cause.into()
}

/// Why the proxy lets nobody in, which is told at once: too many attempts may lock an account.
fn login_refused(builder: ConsumerBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    let Error::AuthenticationFailed { step, reason, .. } = error else { panic!("{error:?}") };
    assert_eq!(step, "connecting through the proxy");
    reason.into()
}

#[test]
fn option_proxy_url() {
    for scheme in ["socks5h", "http"] {
        let broker = broker();
        let proxy = Proxy::start(None, broker.address_of(1));
        assert_eq!(read(builder(&broker, &proxy.url(scheme))), 2, "{scheme}");
        assert_eq!(proxy.asked(), [format!("{NAME}:{}", broker.address_of(1).port())], "{scheme}");
    }
}

#[test]
fn with_socks5_the_client_looks_names_up() {
    struct Knows;

    impl Resolver for Knows {
        fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
            assert_eq!(host, NAME);
            Ok(vec![[10, 11, 12, 13].into()])
        }
    }

    let broker = broker();
    let proxy = Proxy::start(None, broker.address_of(1));
    // The proxy's own address stands in the option.
    let url = proxy.url("socks5").replace("127.0.0.1", "proxy.invalid");
    let both = Both(proxy.address.ip());
    assert_eq!(read(builder(&broker, &url).resolver(both)), 2);
    assert_eq!(proxy.asked(), [format!("10.11.12.13:{}", broker.address_of(1).port())]);

    struct Both(IpAddr);

    impl Resolver for Both {
        fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
            if host == "proxy.invalid" { Ok(vec![self.0]) } else { Knows.resolve(host) }
        }
    }
}

#[test]
fn a_proxy_that_wants_a_login_gets_it() {
    let broker = broker();
    let proxy = Proxy::start(Some(("me", "p@ss")), broker.address_of(1));
    let address = proxy.address;
    assert_eq!(read(builder(&broker, &format!("socks5h://me:p%40ss@{address}"))), 2);
    let cause = login_refused(builder(&broker, &format!("socks5h://me:hunter2@{address}")));
    assert!(cause.contains("the proxy: it does not accept the name"), "{cause}");
}

#[test]
fn a_proxy_that_wants_a_login_that_is_not_there_is_named() {
    let broker = broker();
    let proxy = Proxy::start(Some(("me", "p@ss")), broker.address_of(1));
    let cause = login_refused(builder(&broker, &proxy.url("socks5h")));
    assert!(cause.contains("it wants a name and a password"), "{cause}");
}

#[test]
fn what_is_no_proxy_is_an_error_in_time() {
    let broker = broker();
    // A broker does not understand either, and hangs up or says nothing.
    for scheme in ["socks5h", "http"] {
        let cause = cause(builder(&broker, &format!("{scheme}://{}", broker.address_of(1))));
        assert!(cause.contains("connecting through the proxy"), "{cause}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = nobody.local_addr().unwrap();
    let cause = cause(builder(&broker, &format!("http://{silent}")));
    assert!(cause.contains("connecting through the proxy"), "{cause}");
}

#[test]
fn option_socks5_proxy() {
    let broker = broker();
    let proxy = Proxy::start(None, broker.address_of(1));
    let port = broker.address_of(1).port();
    let consumer = KafkaConsumer::builder()
        .bootstrap_servers(format!("127.0.0.1:{port}"))
        .topics("t")
        .auto_offset_reset("earliest")
        .socks5_proxy(proxy.url("socks5"));
    assert_eq!(read(consumer), 2);
    assert_eq!(proxy.asked(), [format!("127.0.0.1:{port}")]);
}
