//! A connection that is being secured, with a proxy, a server of TLS or a broker that says anything.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use kafka_blocking::{
    ConsumerBuilder,
    net::{
        connection::{Connection, ConnectionLimits, Failure},
        proxy::Target,
        security::Security,
        servers::HostPort,
    },
    protocol::{
        Request,
        api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
        encode_response,
        sasl_authenticate::SaslAuthenticateRequest,
        sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse},
    },
    records::ChunkPool,
};

use crate::input::Input;

/// The first byte says how it is secured, the others what comes.
pub(crate) fn securing(bytes: &[u8]) {
    let mut input = Input(bytes);
    let now = Instant::now();
    let security = input.pick(&WAYS.get_or_init(ways).each_ref());
    let limits = ConnectionLimits {
        setup_timeout: Duration::from_secs(10),
        max_idle: Duration::from_secs(60),
        receive_max: 1 << 20,
        max_in_flight: 5,
        staging: 1 << input.pick(&[3, 6, 14]),
        first_versions: 0,
    };
    let connection = Connection::new(limits, "me".into(), ChunkPool::new(1 << 20), now);
    let mut connection = connection.secured(security, "kafka.example", 0.9);
    if let Some(proxy) = &security.proxy {
        let target = Target { broker: HostPort::new("kafka.example", 9092), address: None };
        connection = connection.through(proxy, &target);
    }
    connection.handle_connected(now);
    let mut answered = 0;
    for _ in 0..100 {
        if input.is_empty() || step(&mut connection, &mut input, &mut answered, now).is_err() {
            break;
        }
        assert!(connection.in_flight() <= 5);
    }
}

fn step(
    connection: &mut Connection,
    input: &mut Input<'_>,
    answered: &mut i32,
    now: Instant,
) -> Result<(), Failure> {
    let came = match input.byte() % 4 {
        0 => input.some().to_vec(),
        1 => answer(answered, input.some()),
        2 => answer_well(answered),
        _ => {
            connection.handle_timeout(now)?;
            let n = connection.poll_transmit().len();
            connection.handle_sent(n, now);
            Vec::new()
        }
    };
    let mut came = &came[..];
    while !came.is_empty() {
        let Some(space) = connection.read_space() else { break };
        let n = space.len().min(came.len());
        space[..n].copy_from_slice(&came[..n]);
        came = &came[n..];
        connection.handle_read(n, now)?;
        let mut more = 0;
        while connection.has_more() {
            while connection.poll_event().is_some() {}
            connection.handle_read(0, now)?;
            more += 1;
            assert!(more < 10_000, "what is there comes to an end");
        }
    }
    if let Some(call) = connection.take_call() {
        connection.handle_authenticated(call.run(), now)?;
    }
    Ok(())
}

/// A frame that answers the next request.
fn answer(answered: &mut i32, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(4 + body.len()).expect("inputs are short");
    let frame = [&length.to_be_bytes()[..], &answered.to_be_bytes(), body].concat();
    *answered += 1;
    frame
}

/// What a broker would say first, and then.
fn answer_well(answered: &mut i32) -> Vec<u8> {
    let (mut frame, id) = (Vec::new(), *answered);
    *answered += 1;
    let encoded = if id == 0 {
        let api = |api_key, max_version| ApiVersion {
            api_key,
            min_version: 0,
            max_version,
            ..Default::default()
        };
        let login = [(SaslHandshakeRequest::KEY, 1), (SaslAuthenticateRequest::KEY, 2)];
        let api_keys = login.map(|(key, version)| api(key, version)).to_vec();
        let versions = ApiVersionsResponse { api_keys, ..Default::default() };
        encode_response::<ApiVersionsRequest>(&mut frame, 0, id, &versions)
    } else {
        let mechanisms = SaslHandshakeResponse::default();
        encode_response::<SaslHandshakeRequest>(&mut frame, 1, id, &mechanisms)
    };
    encoded.expect("every field is in this version");
    frame
}

static WAYS: OnceLock<[Security; 4]> = OnceLock::new();

fn ways() -> [Security; 4] {
    let builder = || ConsumerBuilder::new().topics("t");
    let plain = builder()
        .security_protocol("SASL_PLAINTEXT")
        .sasl_mechanism("PLAIN")
        .sasl_plain_username("me")
        .sasl_plain_password("mine");
    [
        builder().security_protocol("SSL"),
        plain,
        builder().proxy_url("socks5h://me:mine@proxy.example:1080"),
        builder().proxy_url("http://proxy.example:3128").security_protocol("SSL"),
    ]
    .map(|builder| builder.resolve().expect("they fit together").connection.security)
}
