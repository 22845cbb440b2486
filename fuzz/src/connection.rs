//! A connection whose peer sends anything, in any pieces and at any time.

use std::{
    collections::VecDeque,
    io::ErrorKind::{FileTooLarge, InvalidData},
    time::{Duration, Instant},
};

use kafka_blocking::{
    net::connection::{Connection, ConnectionLimits, Event, Failure, RequestId},
    protocol::{
        self as p, Request, RequestHeader,
        api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
        decode_request_header,
    },
    records::ChunkPool,
};

use crate::{input::Input, messages::APIS};

/// The first bytes are the limits, the others what happens, one thing after the other.
pub(crate) fn connection(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut world = World::new(&mut input);
    for _ in 0..300 {
        if input.is_empty() {
            break;
        }
        if let Err(failure) = world.step(&mut input) {
            assert!(!failure.source.to_string().is_empty() && !failure.step.is_empty());
            break;
        }
        world.check();
    }
    let left: VecDeque<RequestId> = world.connection.abandon().collect();
    assert_eq!(left, world.unanswered);
}

/// The connection, and both sides of it.
struct World {
    connection: Connection,
    limits: ConnectionLimits,
    now: Instant,
    /// Requests that have no whole answer yet; ApiVersions is not among them.
    unanswered: VecDeque<RequestId>,
    next_id: RequestId,
    /// What the peer got, and the requests in it that it has not answered.
    got: Vec<u8>,
    asked: VecDeque<RequestHeader>,
    /// What the peer has sent and the connection has not read.
    pending: VecDeque<u8>,
    pieces: fastrand::Rng,
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let limits = ConnectionLimits {
            setup_timeout: Duration::from_secs(10),
            max_idle: Duration::from_secs(60),
            receive_max: 1 << input.pick(&[4, 10, 16, 24]),
            max_in_flight: 1 + input.below(5),
            staging: 1 << input.pick(&[0, 3, 6, 14]),
            first_versions: input.pick(&[4, 3, 0]),
        };
        let now = Instant::now();
        let pool = ChunkPool::new(1 << 20);
        Self {
            connection: Connection::new(limits.clone(), "me".into(), pool, now),
            limits,
            now,
            unanswered: VecDeque::new(),
            next_id: 1,
            got: Vec::new(),
            asked: VecDeque::new(),
            pending: VecDeque::new(),
            pieces: fastrand::Rng::with_seed(input.byte().into()),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) -> Result<(), Failure> {
        match input.byte() % 12 {
            0 => self.connection.handle_connected_once(self.now),
            1 => self.pass(Duration::from_millis(u64::from(input.u16())))?,
            2 => self.send(input),
            3 => self.connection.set_gated(input.bool(), self.now),
            4 => self.pending.extend(input.some()),
            5 | 6 => {
                let body = input.some().to_vec();
                self.answer(&body);
            }
            7 | 8 => self.answer_well(),
            9 => {
                // Longer than what comes.
                let len = u32::from(input.u16());
                self.pending.extend(len.to_be_bytes());
            }
            _ => self.transmit(input.byte()),
        }
        self.deliver()
    }

    fn pass(&mut self, time: Duration) -> Result<(), Failure> {
        self.now += time;
        self.connection.handle_timeout(self.now)?;
        // A loop that waits until then would not spin.
        assert!(self.connection.poll_timeout() > self.now, "{:?}", self.connection);
        Ok(())
    }

    fn send(&mut self, input: &mut Input<'_>) {
        use p::{fetch::FetchRequest, join_group::JoinGroupRequest, metadata::MetadataRequest};
        let timeout = Duration::from_millis(u64::from(input.u16()));
        match input.byte() % 4 {
            0 => self.send_one(&MetadataRequest::default(), timeout),
            1 => self.send_one(&JoinGroupRequest::default(), timeout),
            _ => self.send_one(&FetchRequest::default(), timeout),
        }
    }

    fn send_one<R: Request>(&mut self, request: &R, timeout: Duration) {
        let Some(version) = self.connection.ranges().pick::<R>(None) else { return };
        if self.connection.has_room() {
            let id = self.next_id;
            let sent = self.connection.send(id, version, request, timeout, self.now);
            sent.expect("a default fits each version");
            self.next_id += 1;
            self.unanswered.push_back(id);
        }
    }

    /// Bytes go out to the peer, some of those that could.
    fn transmit(&mut self, most: u8) {
        let out = self.connection.poll_transmit();
        let n = out.len().min(usize::from(most) * 4);
        self.got.extend_from_slice(&out[..n]);
        if n > 0 {
            self.connection.handle_sent(n, self.now);
        }
        while let Some(length) = self.got.first_chunk::<4>() {
            let end = 4 + u32::from_be_bytes(*length) as usize;
            let Some(frame) = self.got.get(4..end) else { return };
            let (header, _) = decode_request_header(frame).expect("a request of ours");
            self.asked.push_back(header);
            self.got.drain(..end);
        }
    }

    /// The peer answers what it was asked first, with any body.
    fn answer(&mut self, body: &[u8]) {
        let Some(header) = self.asked.pop_front() else { return };
        let length = u32::try_from(body.len() + 4).expect("a short body");
        self.pending.extend(length.to_be_bytes());
        self.pending.extend(header.correlation_id.to_be_bytes());
        self.pending.extend(body);
    }

    /// The peer answers as it should.
    fn answer_well(&mut self) {
        let Some(header) = self.asked.front() else { return };
        let version = header.api_version;
        let body = if header.api_key == ApiVersionsRequest::KEY {
            let keys = APIS.iter().map(|api| ApiVersion {
                api_key: api.key,
                min_version: api.first,
                max_version: api.last,
            });
            let response = ApiVersionsResponse { api_keys: keys.collect(), ..Default::default() };
            let mut frame = Vec::new();
            p::encode_response::<ApiVersionsRequest>(&mut frame, version, 0, &response)
                .expect("it fits");
            frame.split_off(8)
        } else {
            let api = APIS.iter().find(|api| api.key == header.api_key).expect("one of ours");
            (api.sample)(version)
        };
        self.answer(&body);
    }

    /// The connection reads as much as it wants of what was sent.
    fn deliver(&mut self) -> Result<(), Failure> {
        while !self.pending.is_empty() {
            let Some(space) = self.connection.read_space() else { return Ok(()) };
            assert!(!space.is_empty(), "it wants bytes, and has no room for any");
            let most = space.len().min(self.pending.len());
            let n = self.pieces.usize(1..=most).min(most);
            for (to, from) in space.iter_mut().zip(self.pending.drain(..n)) {
                *to = from;
            }
            let read = self.connection.handle_read(n, self.now);
            self.listen();
            if let Err(failure) = read {
                let kind = failure.source.kind();
                assert!(matches!(kind, InvalidData | FileTooLarge), "{failure:?}");
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Answers come in the order of the requests.
    fn listen(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Ready => assert!(self.unanswered.is_empty()),
                Event::Response { id, body, .. } => {
                    assert_eq!(self.unanswered.pop_front(), Some(id));
                    assert!(body.len() <= self.limits.receive_max);
                }
                Event::Fetch { id, piece } => {
                    assert_eq!(self.unanswered.front(), Some(&id));
                    if matches!(piece, kafka_blocking::net::fetch_stream::FetchPiece::End(_)) {
                        self.unanswered.pop_front();
                    }
                }
            }
        }
    }

    fn check(&self) {
        let asking = usize::from(self.connection.is_asking_versions());
        assert_eq!(self.connection.in_flight(), self.unanswered.len() + asking);
        assert!(self.connection.in_flight() <= self.limits.max_in_flight.max(1));
    }
}

/// What the owner of a connection does once.
trait Once {
    fn handle_connected_once(&mut self, now: Instant);
}

impl Once for Connection {
    fn handle_connected_once(&mut self, now: Instant) {
        if self.step() == "connecting" {
            self.handle_connected(now);
        }
    }
}
