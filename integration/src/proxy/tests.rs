//! Whether a proxy does to real connections what it is told to, without Kafka.
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::*;

/// A proxy with one port, and what listens behind it.
struct Bed {
    proxy: Proxy,
    listener: TcpListener,
}

impl Bed {
    fn new(script: impl Fn(Arrival, &mut Rng) -> Faults + Send + Sync + 'static) -> Self {
        let proxy = Proxy::start("TESTED", 1, SEED, script);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        proxy.forward(1, listener.local_addr().unwrap());
        Self { proxy, listener }
    }

    fn always(faults: Faults) -> Self {
        Self::new(move |_, _| faults.clone())
    }

    /// A client, and what it is connected with.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, self.proxy.port(1))).unwrap();
        let (broker, _) = self.listener.accept().unwrap();
        for side in [&client, &broker] {
            side.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        (client, broker)
    }

    /// What became of the only connection, as soon as it has ended.
    fn report(&self) -> Report {
        let until = Instant::now() + PATIENCE;
        while Arc::strong_count(&lock(&self.proxy.shared.reports)[0]) > 1 {
            assert!(Instant::now() < until, "the connection goes on");
            thread::sleep(Duration::from_millis(1));
        }
        self.proxy.reports().remove(0)
    }
}

/// What comes until there is no more, and how that ended.
fn read_all(stream: &mut TcpStream) -> (Vec<u8>, io::Result<()>) {
    let (mut all, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (all, Ok(())),
            Ok(count) => all.extend(&buffer[..count]),
            Err(error) => return (all, Err(error)),
        }
    }
}

fn is_quiet(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn is_reset(stream: &mut TcpStream) -> bool {
    read_all(stream).1.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

fn answers(way: Way) -> Faults {
    Faults { answers: way, ..Faults::default() }
}

fn requests(way: Way) -> Faults {
    Faults { requests: way, ..Faults::default() }
}

#[test]
fn all_bytes_pass_unchanged_in_both_directions() {
    let bed = Bed::always(Faults::default());
    let (mut client, mut broker) = bed.connect();
    let mut rng = Rng::with_seed(SEED);
    let sent: Vec<u8> = (0..5_000_000).map(|_| rng.u8(..)).collect();
    thread::scope(|scope| {
        for stream in [&client, &broker] {
            let (mut stream, sent) = (stream.try_clone().unwrap(), &sent);
            scope.spawn(move || {
                stream.write_all(sent).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
            });
        }
        for stream in [&mut client, &mut broker] {
            let (all, end) = read_all(stream);
            assert!(all == sent && end.is_ok(), "{} of {}, {end:?}", all.len(), sent.len());
        }
    });
    let report = bed.report();
    assert_eq!((report.requests, report.answers, report.end), (5_000_000, 5_000_000, None));
}

#[test]
fn each_direction_has_its_delay() {
    let late = |millis| Way { delay: Duration::from_millis(millis), ..Way::default() };
    let bed = Bed::always(Faults { requests: late(40), answers: late(80), ..Faults::default() });
    let (mut client, mut broker) = bed.connect();
    let pass = |from: &mut TcpStream, to: &mut TcpStream, delay| {
        let began = Instant::now();
        from.write_all(b"x").unwrap();
        to.read_exact(&mut [0]).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(delay), "{:?}", began.elapsed());
    };
    pass(&mut client, &mut broker, 40);
    pass(&mut broker, &mut client, 80);
}

#[test]
fn a_link_slows_down_all_who_share_it() {
    let link = Link::new(1_000_000);
    let bed = Bed::always(answers(Way { link: Some(link), ..Way::default() }));
    let mut pairs = [bed.connect(), bed.connect()];
    let began = Instant::now();
    for (_, broker) in &mut pairs {
        broker.write_all(&[7; 100_000]).unwrap();
    }
    for (client, _) in &mut pairs {
        client.read_exact(&mut [0; 100_000]).unwrap();
    }
    // All but the first and the last piece have to wait for the one before.
    assert!(began.elapsed() >= Duration::from_millis(170), "{:?}", began.elapsed());
}

#[test]
fn a_connection_is_cut_at_just_this_byte_of_an_answer() {
    let bed = Bed::always(answers(Way { end: Some((5, End::Close)), ..Way::default() }));
    let (mut client, mut broker) = bed.connect();
    broker.write_all(b"0123456789").unwrap();
    let (all, end) = read_all(&mut client);
    assert_eq!((all.as_slice(), end.is_ok()), (&b"01234"[..], true));
    assert!(read_all(&mut broker).1.is_ok());
    drop((client, broker));
    let report = bed.report();
    assert_eq!((report.answers, report.end), (5, Some(End::Close)));
}

#[test]
fn a_connection_is_reset_at_just_this_byte_of_a_request() {
    let bed = Bed::always(requests(Way { end: Some((5, End::Reset)), ..Way::default() }));
    let (mut client, mut broker) = bed.connect();
    client.write_all(b"0123456789").unwrap();
    let (all, end) = read_all(&mut broker);
    assert_eq!(all, b"01234");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(is_reset(&mut client));
    assert_eq!(bed.report().end, Some(End::Reset));
}

#[test]
fn a_black_hole_swallows_one_direction_and_tells_nobody() {
    let bed = Bed::always(answers(Way { end: Some((5, End::Silence)), ..Way::default() }));
    let (mut client, mut broker) = bed.connect();
    broker.write_all(&[1; 2_000_000]).unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    client.write_all(b"?").unwrap();
    broker.read_exact(&mut [0]).unwrap();
    drop(broker);
    assert!(is_quiet(&mut client));
    drop(client);
    let report = bed.report();
    assert_eq!((report.requests, report.answers, report.end), (1, 5, Some(End::Silence)));
}

#[test]
fn a_half_closed_connection_still_passes_what_goes_the_other_way() {
    let bed = Bed::always(answers(Way { end: Some((5, End::HalfClose)), ..Way::default() }));
    let (mut client, mut broker) = bed.connect();
    broker.write_all(b"0123456789").unwrap();
    let (all, end) = read_all(&mut client);
    assert_eq!((all.as_slice(), end.is_ok()), (&b"01234"[..], true));
    client.write_all(b"still").unwrap();
    broker.read_exact(&mut [0; 5]).unwrap();
    assert!(is_quiet(&mut broker));
    drop((client, broker));
    assert_eq!(bed.report().end, Some(End::HalfClose));
}

#[test]
fn a_connection_lives_as_long_as_was_drawn_for_it() {
    for end in [End::Close, End::Reset] {
        let bed = Bed::always(Faults::short(Duration::from_millis(50), end));
        let (mut client, mut broker) = bed.connect();
        broker.write_all(b"x").unwrap();
        let (all, how) = read_all(&mut client);
        assert_eq!((all, how.is_ok()), (b"x".to_vec(), end == End::Close));
        assert_eq!(is_reset(&mut broker), end == End::Reset);
        drop((client, broker));
        let report = bed.report();
        assert!(report.lived >= Duration::from_millis(50), "{report:?}");
        assert_eq!(report.end, Some(end));
    }
}

#[test]
fn all_that_is_open_can_be_ended_at_once_and_what_comes_later_is_not() {
    let bed = Bed::always(Faults::default());
    let mut pairs = [bed.connect(), bed.connect()];
    // Each is passed on by now.
    for (client, broker) in &mut pairs {
        client.write_all(b"x").unwrap();
        broker.read_exact(&mut [0]).unwrap();
    }
    bed.proxy.end_all(End::Reset);
    for (client, broker) in &mut pairs {
        assert!(is_reset(client) && is_reset(broker));
    }
    let (mut client, mut broker) = bed.connect();
    client.write_all(b"x").unwrap();
    broker.read_exact(&mut [0]).unwrap();
    assert!(is_quiet(&mut client));
}

#[test]
fn who_resets_a_connection_resets_it_for_the_other() {
    let bed = Bed::always(Faults::default());
    let (client, mut broker) = bed.connect();
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    assert!(is_reset(&mut broker));
}

#[test]
fn flips_are_those_of_the_seed_and_all_are_told() {
    let receive = || {
        let bed = Bed::always(answers(Way { flip_one_in: Some(1_000), ..Way::default() }));
        let (mut client, mut broker) = bed.connect();
        let writer = thread::spawn(move || {
            for piece in [0; 100_000].chunks(777) {
                broker.write_all(piece).unwrap();
            }
        });
        let (all, end) = read_all(&mut client);
        end.unwrap();
        writer.join().unwrap();
        drop(client);
        (all, bed.report().flips)
    };
    let (received, flips) = receive();
    assert!((60..140).contains(&flips.len()), "{} of about 100", flips.len());
    let mut expected = vec![0; 100_000];
    for flip in &flips {
        expected[usize::try_from(flip.position).unwrap()] = flip.mask;
    }
    assert!(received == expected);
    assert_eq!(receive(), (received, flips));
}

#[test]
fn a_seed_gives_each_connection_the_same_faults_whatever_happens_to_others() {
    let draw = |nodes: &[i32]| {
        let drawn = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&drawn);
        let proxy = Proxy::start("TESTED", 2, SEED, move |arrival, rng| {
            lock(&note).push((arrival.node, arrival.number, rng.u64(..)));
            Faults::default()
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for node in nodes {
            proxy.forward(*node, listener.local_addr().unwrap());
            let before = lock(&drawn).len();
            let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port(*node))).unwrap();
            // The script runs after the connection was made.
            let until = Instant::now() + PATIENCE;
            let _broker = listener.accept().unwrap();
            while lock(&drawn).len() == before {
                assert!(Instant::now() < until, "nothing was drawn");
                thread::sleep(Duration::from_millis(1));
            }
        }
        let mut drawn = lock(&drawn).clone();
        drawn.sort_unstable();
        drawn
    };
    let drawn = draw(&[1, 1, 2, 2]);
    assert_eq!(drawn, draw(&[2, 1, 2, 1]));
    let mut values: Vec<u64> = drawn.iter().map(|(.., value)| *value).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), 4, "{drawn:?}");
}

#[test]
fn who_comes_before_it_is_known_where_the_node_is_is_sent_away() {
    let proxy = Proxy::start("TESTED", 1, SEED, |_, _| Faults::default());
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port(1))).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_all(&mut client).0, b"");
    assert!(proxy.reports().is_empty());
}

#[test]
fn a_dropped_proxy_leaves_no_connection_and_no_port() {
    let bed = Bed::always(Faults::default());
    let (mut client, _broker) = bed.connect();
    let port = bed.proxy.port(1);
    drop(bed);
    drop(read_all(&mut client));
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
        assert!(Instant::now() < until, "somebody listens");
    }
}

const SEED: u64 = 42;
const PATIENCE: Duration = Duration::from_secs(10);
