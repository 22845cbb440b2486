//! TLS by what the operating system brings: what a user has made, and everything where that is not OpenSSL.

use std::{
    fmt,
    io::{Read, Write},
    sync::Arc,
};

use native_tls::{HandshakeError, MidHandshakeTlsStream, TlsConnector, TlsStream};

use super::{Backend, Pipe, Refusal, Session, moved};
use crate::options::{Refused, Setting};

/// TLS that a user has set up: what the option `ssl_context` takes.
///
/// ```
/// use kafka_blocking::{ConsumerBuilder, setting::SslContext};
///
/// let connector = native_tls::TlsConnector::builder().min_protocol_version(Some(native_tls::Protocol::Tlsv12)).build()?;
/// let builder = ConsumerBuilder::new().security_protocol("SSL").ssl_context(SslContext::from(connector));
/// # Ok::<(), native_tls::Error>(())
/// ```
#[derive(Clone)]
pub struct SslContext(Arc<TlsConnector>);

impl From<TlsConnector> for SslContext {
    fn from(connector: TlsConnector) -> Self {
        Self(Arc::new(connector))
    }
}

impl fmt::Debug for SslContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SslContext")
    }
}

impl Setting<Option<Self>> for SslContext {
    fn into_value(self) -> Result<Option<Self>, Refused> {
        Ok(Some(self))
    }
}

impl Setting<Option<SslContext>> for TlsConnector {
    fn into_value(self) -> Result<Option<SslContext>, Refused> {
        Ok(Some(self.into()))
    }
}

impl Setting<Self> for Option<SslContext> {
    fn into_value(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

impl crate::options::FromText for Option<SslContext> {
    fn from_text(text: &str) -> Result<Self, Refused> {
        Err(Refused::new(
            text,
            "it is code and no text: give the builder a native_tls::TlsConnector",
        ))
    }
}

impl Backend for SslContext {
    fn session(&self, host: &str, pipe: Pipe) -> Result<Box<dyn Session>, Refusal> {
        let first = Stage::of(self.0.connect(host, pipe), host)?;
        Ok(Box::new(Stream { stage: Some(first), host: host.to_owned(), ended: Pipe::new(0) }))
    }
}

/// How far a connection is; there is none after a failure.
enum Stage {
    Handshake(MidHandshakeTlsStream<Pipe>),
    Done(TlsStream<Pipe>),
}

impl Stage {
    fn of(
        result: Result<TlsStream<Pipe>, HandshakeError<Pipe>>,
        host: &str,
    ) -> Result<Self, Refusal> {
        match result {
            Ok(stream) => Ok(Self::Done(stream)),
            Err(HandshakeError::WouldBlock(unfinished)) => Ok(Self::Handshake(unfinished)),
            Err(HandshakeError::Failure(error)) => Err(Refusal(format!("{error} ({host})"))),
        }
    }
}

struct Stream {
    stage: Option<Stage>,
    host: String,
    /// In place of what a failure took with it.
    ended: Pipe,
}

impl Session for Stream {
    fn pipe(&self) -> &Pipe {
        match &self.stage {
            Some(Stage::Handshake(stream)) => stream.get_ref(),
            Some(Stage::Done(stream)) => stream.get_ref(),
            None => &self.ended,
        }
    }

    fn pipe_mut(&mut self) -> &mut Pipe {
        match &mut self.stage {
            Some(Stage::Handshake(stream)) => stream.get_mut(),
            Some(Stage::Done(stream)) => stream.get_mut(),
            None => &mut self.ended,
        }
    }

    fn handshake(&mut self) -> Result<bool, Refusal> {
        if let Some(Stage::Handshake(stream)) =
            self.stage.take_if(|s| matches!(s, Stage::Handshake(_)))
        {
            self.stage = Some(Stage::of(stream.handshake(), &self.host)?);
        }
        Ok(matches!(self.stage, Some(Stage::Done(_))))
    }

    fn read(&mut self, space: &mut [u8]) -> Result<Option<usize>, Refusal> {
        match &mut self.stage {
            Some(Stage::Done(stream)) => moved(stream.read(space)),
            _ => Ok(None),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        match &mut self.stage {
            Some(Stage::Done(stream)) => moved(stream.write(bytes)),
            _ => Ok(None),
        }
    }
}
