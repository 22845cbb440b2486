//! The scripted broker breaks the protocol where it is told to, and only there.

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use kafka_blocking::{
    ErrorCode,
    protocol::{api_versions::ApiVersionsRequest, fetch::FetchRequest, metadata::MetadataRequest},
};
use scripted_broker::{BadServer, ScriptedBroker};
use support::{Client, fetch, outcome, with_records};

#[test]
fn rules_apply_to_the_requests_that_they_name_and_to_no_others() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    broker.on::<FetchRequest>().after(1).once().fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let codes: Vec<i16> =
        (0..3).map(|_| outcome(&client.ask(12, &fetch(12, &[(0, 0)])))[0].1).collect();
    assert_eq!(codes, [0, 6, 0]);
    broker.on::<MetadataRequest>().node(2).close();
    client.ask(9, &MetadataRequest::all_topics());
}

#[test]
fn an_answer_can_be_edited_replaced_damaged_cut_and_held_back() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    let ask = MetadataRequest::topics(["t"]);
    broker.on::<MetadataRequest>().once().rewrite(|r| r.controller_id = 77);
    assert_eq!(client.ask(9, &ask).controller_id, 77);

    broker.on::<MetadataRequest>().once().respond(|request| {
        assert_eq!(request.topics.as_ref().unwrap().len(), 1);
        Default::default()
    });
    assert_eq!(client.ask(9, &ask).brokers.len(), 0);

    broker.on::<MetadataRequest>().once().corrupt(7, 0xff);
    client.send(0, &ask);
    assert_ne!(client.frame().unwrap()[..4], client.correlation.to_be_bytes());

    broker.on::<MetadataRequest>().once().swap_with_next();
    client.send(0, &ask);
    client.send(0, &ask);
    let swapped = [client.frame().unwrap()[3], client.frame().unwrap()[3]];
    assert_eq!(swapped[0], swapped[1] + 1);

    broker.on::<MetadataRequest>().once().bytes([0, 0, 0, 1, 9]);
    client.send(0, &ask);
    assert_eq!(client.frame().unwrap(), [9]);

    let begin = Instant::now();
    broker.on::<MetadataRequest>().once().stall_at(6, Duration::from_millis(60));
    client.ask(0, &ask);
    assert!(begin.elapsed() >= Duration::from_millis(60));

    broker.on::<MetadataRequest>().once().cut_at(6);
    client.send(0, &ask);
    assert_eq!(client.frame().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn what_a_broker_does_not_say_does_not_come() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    client.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let ask = MetadataRequest::topics(["t"]);
    broker.on::<MetadataRequest>().once().swallow();
    client.send(0, &ask);
    assert_eq!(client.frame().unwrap_err().kind(), ErrorKind::WouldBlock);
    broker.on::<MetadataRequest>().once().silence();
    client.ask(1, &ApiVersionsRequest::default());
    client.send(0, &ask);
    client.send(1, &ApiVersionsRequest::default());
    assert_eq!(client.frame().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_node_stops_comes_back_on_its_port_pauses_and_goes_on() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    client.ask(0, &MetadataRequest::topics(["t"]));
    broker.stop(1);
    assert!(client.is_closed());
    let refused = TcpStream::connect(broker.address_of(1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    broker.restart(1);
    let mut client = Client::to(&broker);
    client.ask(0, &MetadataRequest::topics(["t"]));
    broker.pause(1);
    client.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    client.send(0, &MetadataRequest::topics(["t"]));
    assert_eq!(client.frame().unwrap_err().kind(), ErrorKind::WouldBlock);
    broker.resume(1);
    client.stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client.frame().unwrap();
}

#[test]
fn requests_are_logged_as_they_came() {
    let broker = with_records(1);
    let mut client = Client::to(&broker);
    client.ask(12, &fetch(12, &[(0, 2)]));
    let logged = &broker.requests()[0];
    assert_eq!((logged.node, logged.header.api_version), (1, 12));
    assert_eq!(logged.header.client_id.as_deref(), Some("test"));
    let decoded: FetchRequest = logged.decode().unwrap();
    assert_eq!(decoded.topics[0].partitions[0].fetch_offset, 2);
    assert_eq!(broker.most_unanswered(), 1);
    assert_eq!(broker.connections(1), 1);
}

#[test]
fn nothing_is_left_of_a_broker_that_was_dropped() {
    let broker = ScriptedBroker::start();
    let address = broker.address_of(1);
    let mut client = Client::connect(address);
    drop(broker);
    assert!(client.is_closed());
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn bad_servers_are_bad_each_in_its_way() {
    let connect = |server: &BadServer| {
        let address = server.address().parse().unwrap();
        TcpStream::connect_timeout(&address, Duration::from_millis(200))
    };
    let refusing = BadServer::refusing();
    assert_eq!(connect(&refusing).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let full = BadServer::with_full_backlog();
    assert_eq!(connect(&full).unwrap_err().kind(), ErrorKind::TimedOut);
    let silent = BadServer::silent();
    let mut stream = connect(&silent).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    stream.write_all(b"hello").unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let http = BadServer::http();
    let mut stream = connect(&http).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"));
}
