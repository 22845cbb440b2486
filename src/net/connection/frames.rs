//! From bytes to answers: the length and the correlation id of each frame, and what it belongs to.

use std::{io, time::Instant};

use super::{Connection, Event, Failure, InFlight, Incoming, State, authentication::LONGEST};
use crate::{
    net::fetch_stream::FetchStream,
    protocol::{self, Request, fetch::FetchRequest, throttle::throttle_time_ms},
    wire::Reader,
};

impl Connection {
    pub(super) fn decode(&mut self, now: Instant) -> Result<(), Failure> {
        loop {
            match &mut self.incoming {
                Incoming::Head => {
                    if !self.decode_head()? {
                        return Ok(());
                    }
                }
                Incoming::Whole { body, filled, length } => {
                    if *filled < *length && !self.staging.data().is_empty() {
                        let wanted = (*length - *filled).min(self.staging.data().len());
                        body.resize((*filled + wanted).max(body.len()), 0);
                        *filled += self.staging.move_to(&mut body[*filled..*filled + wanted]);
                    }
                    if *filled < *length {
                        return Ok(());
                    }
                    body.truncate(*length);
                    let body = std::mem::take(body);
                    self.incoming = Incoming::Head;
                    self.handle_frame(body, now)?;
                }
                Incoming::Fetch(stream) => {
                    let piece = stream.decode(&mut self.staging, &self.pool);
                    let done = stream.is_done();
                    let piece = piece.map_err(|e| {
                        self.failure(
                            io::ErrorKind::InvalidData,
                            format!("malformed Fetch response: {e}"),
                        )
                    })?;
                    let Some(piece) = piece else { return Ok(()) };
                    self.served = true;
                    let id = self.in_flight.front().expect("the request that is answered").id;
                    self.events.push_back(Event::Fetch { id, piece });
                    if done {
                        self.in_flight.pop_front();
                        self.incoming = Incoming::Head;
                    }
                }
            }
        }
    }

    /// Reads the length and the correlation id of a frame, if they are there.
    fn decode_head(&mut self) -> Result<bool, Failure> {
        let data = self.staging.data();
        let Some(length) = data.first_chunk::<4>() else { return Ok(false) };
        let bare = self.state == (State::Token { bare: true });
        let least = if bare { 0 } else { 4 };
        let length = usize::try_from(i32::from_be_bytes(*length)).ok().filter(|n| *n >= least);
        let Some(length) = length else {
            return Err(self.failure(io::ErrorKind::InvalidData, self.odd_frame(data)));
        };
        if length > self.longest() {
            return Err(self.failure(io::ErrorKind::FileTooLarge, self.odd_frame(data)));
        }
        if bare {
            self.incoming = Incoming::Whole { body: Vec::new(), filled: 0, length };
            self.staging.consume(4);
            return Ok(true);
        }
        let Some(head) = data.first_chunk::<8>() else { return Ok(false) };
        let correlation = i32::from_be_bytes(head[4..].try_into().expect("four bytes"));
        let Some(request) = self.in_flight.front() else {
            return Err(
                self.failure(io::ErrorKind::InvalidData, "an answer to nothing that was asked")
            );
        };
        if request.correlation != correlation {
            let text = format!(
                "correlation id {correlation} in the answer to the request with {}",
                request.correlation
            );
            return Err(self.failure(io::ErrorKind::InvalidData, text));
        }
        self.incoming = if request.key == FetchRequest::KEY {
            Incoming::Fetch(Box::new(FetchStream::new(request.version, length - 4)))
        } else {
            Incoming::Whole { body: Vec::new(), filled: 0, length: length - 4 }
        };
        self.staging.consume(8);
        Ok(true)
    }

    /// The longest frame that may come now. A broker that has not said who it is has little to say.
    fn longest(&self) -> usize {
        let receive_max = self.limits.receive_max;
        if self.ready { receive_max } else { receive_max.min(LONGEST) }
    }

    /// What to say of a frame's length that cannot be one.
    fn odd_frame(&self, data: &[u8]) -> String {
        let claimed = i32::from_be_bytes(data[..4].try_into().expect("four bytes"));
        let hint = match data {
            [b'H', b'T', b'T', b'P', ..] => ": this is the answer of an HTTP server",
            [0x15 | 0x16, 0x03, ..] => {
                ": this looks like TLS; should security_protocol be SSL or SASL_SSL?"
            }
            _ => "",
        };
        let limit = self.longest();
        let option =
            if limit < self.limits.receive_max { "" } else { " (receive_message_max_bytes)" };
        format!("a frame of {claimed} bytes, where up to {limit} are allowed{option}{hint}")
    }

    fn handle_frame(&mut self, frame: Vec<u8>, now: Instant) -> Result<(), Failure> {
        if self.state == (State::Token { bare: true }) {
            return self.next_step(frame, now);
        }
        let first = self.in_flight.front().expect("matched when its head was read");
        let InFlight { id, key, version, .. } = *first;
        if let State::Versions { asked } = self.state {
            self.in_flight.pop_front();
            return self.handle_versions(&frame, asked, now);
        }
        let mut reader = Reader::new(&frame, version, true);
        // The correlation id was read with the frame's length; what is left of the header are tags.
        if protocol::response_header_has_tags(key, version) && reader.tags(|_, _| Ok(())).is_err() {
            return Err(self.failure(io::ErrorKind::InvalidData, "malformed response header"));
        }
        // Not before: a request whose answer makes no sense goes down with the connection.
        self.in_flight.pop_front();
        let header = reader.consumed();
        let mut body = frame;
        body.drain(..header);
        match self.state {
            State::Handshake => return self.handle_mechanisms(&body, version, now),
            State::Token { .. } => return self.handle_authenticate(&body, version, now),
            _ => {}
        }
        self.served = true;
        let throttle_time_ms = throttle_time_ms(key, version, &body);
        self.events.push_back(Event::Response { id, version, body, throttle_time_ms });
        Ok(())
    }
}
