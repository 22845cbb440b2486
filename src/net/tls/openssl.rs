//! TLS by OpenSSL: all of the options `ssl_*`, as Python has them.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use openssl::{
    error::ErrorStack,
    pkey::{PKey, Private},
    ssl::{
        ErrorCode, ShutdownState, Ssl, SslConnector, SslConnectorBuilder, SslMethod, SslStream,
        SslVerifyMode, SslVersion,
    },
    x509::{
        X509,
        store::{X509Lookup, X509StoreBuilder},
        verify::X509VerifyFlags,
    },
};

use super::{Backend, Pipe, Refusal, Session, certificate, files::Loaded};
use crate::{
    error::Result,
    net::security::TlsFiles,
    options::{Secret, checks::refuse},
};

/// What connections are made from.
pub(super) struct Connector {
    connector: SslConnector,
    check_hostname: bool,
}

impl Connector {
    pub(super) fn new(files: &TlsFiles) -> Result<Self> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).or_else(broken)?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2)).or_else(broken)?;
        if let Some(ca) = Loaded::optional("ssl_cafile", files.cafile.as_ref())? {
            trust(&mut builder, &ca)?;
        }
        if let Some(crl) = Loaded::optional("ssl_crlfile", files.crlfile.as_ref())? {
            check_revoked(&mut builder, &crl)?;
        }
        identify(&mut builder, files)?;
        if let Some(ciphers) = &files.ciphers
            && let Err(error) = builder.set_cipher_list(ciphers)
        {
            return refuse(
                ("ssl_ciphers", ciphers),
                format!("must be a list of ciphers as OpenSSL writes it: {}", reason(&error)),
            );
        }
        Ok(Self { connector: builder.build(), check_hostname: files.check_hostname })
    }
}

/// Trusts these certificates, and no others.
fn trust(builder: &mut SslConnectorBuilder, ca: &Loaded<'_>) -> Result<()> {
    let certificates = certificates(ca)?;
    let mut store = X509StoreBuilder::new().or_else(broken)?;
    for certificate in certificates {
        store.add_cert(certificate).or_else(broken)?;
    }
    builder.set_cert_store(store.build());
    Ok(())
}

/// Asks of the broker's own certificate, and of no other in its chain, whether it is in the list.
fn check_revoked(builder: &mut SslConnectorBuilder, crl: &Loaded<'_>) -> Result<()> {
    // OpenSSL reads lists from files only.
    let file = tempfile::NamedTempFile::new().and_then(|mut file| {
        file.write_all(&crl.bytes)?;
        Ok(file.into_temp_path())
    });
    let file = match file {
        Ok(file) => file,
        Err(error) => return crl.refuse(format!("cannot be kept for OpenSSL: {error}")),
    };
    let store = builder.cert_store_mut();
    let lookup = store.add_lookup(X509Lookup::file()).or_else(broken)?;
    if let Err(error) = lookup.load_crl_file(&file, openssl::ssl::SslFiletype::PEM) {
        return crl
            .refuse(format!("has no list of revoked certificates in it: {}", reason(&error)));
    }
    store.set_flags(X509VerifyFlags::CRL_CHECK).or_else(broken)
}

/// Shows brokers that ask for it a certificate of our own.
fn identify(builder: &mut SslConnectorBuilder, files: &TlsFiles) -> Result<()> {
    let Some(cert) = Loaded::optional("ssl_certfile", files.certfile.as_ref())? else {
        return Ok(());
    };
    let mut chain = certificates(&cert)?.into_iter();
    let Some(own) = chain.next() else { return cert.refuse("has no certificate in it") };
    builder.set_certificate(&own).or_else(broken)?;
    for other in chain {
        builder.add_extra_chain_cert(other).or_else(broken)?;
    }
    let separate = Loaded::optional("ssl_keyfile", files.keyfile.as_ref())?;
    let holder = separate.as_ref().unwrap_or(&cert);
    let key = private_key(holder, files.password.as_ref())?;
    // Of keys of the same kind the first sees it, of others the second.
    if builder.set_private_key(&key).is_err() || builder.check_private_key().is_err() {
        return holder.refuse("has another key than that of the certificate in ssl_certfile");
    }
    Ok(())
}

fn certificates(file: &Loaded<'_>) -> Result<Vec<X509>> {
    match X509::stack_from_pem(&file.bytes) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => file.refuse("has no certificate in it"),
        Err(error) => {
            file.refuse(format!("has a certificate that cannot be read: {}", reason(&error)))
        }
    }
}

fn private_key(file: &Loaded<'_>, password: Option<&Secret>) -> Result<PKey<Private>> {
    if !file.has_key() {
        return file.refuse("has no private key in it; name its file with ssl_keyfile");
    }
    if password.is_some() && !file.is_encrypted() {
        return refuse(("ssl_password", "…"), "has no effect: the private key is not encrypted");
    }
    let key = PKey::private_key_from_pem_callback(&file.bytes, |buffer| {
        // Without a password nobody is asked for it on the terminal.
        let password = password.map_or("", Secret::reveal).as_bytes();
        let n = password.len().min(buffer.len());
        buffer[..n].copy_from_slice(&password[..n]);
        Ok(n)
    });
    match key {
        Ok(key) => Ok(key),
        Err(_) if file.is_encrypted() && password.is_none() => {
            file.refuse("has a private key that is encrypted: give its ssl_password")
        }
        Err(_) if file.is_encrypted() => {
            refuse(("ssl_password", "…"), "is not the password of the private key")
        }
        Err(error) => {
            file.refuse(format!("has a private key that cannot be read: {}", reason(&error)))
        }
    }
}

/// OpenSSL itself is at its end: there is no option to name.
fn broken<T>(error: ErrorStack) -> Result<T> {
    refuse(("security_protocol", "SSL"), format!("OpenSSL failed: {}", reason(&error)))
}

/// What OpenSSL says, without the places in its source.
fn reason(error: &ErrorStack) -> String {
    let mut reasons: Vec<&str> = error.errors().iter().filter_map(|e| e.reason()).collect();
    reasons.dedup();
    if reasons.is_empty() { error.to_string() } else { reasons.join(", ") }
}

impl Backend for Connector {
    fn session(&self, host: &str, pipe: Pipe) -> Result<Box<dyn Session>, Refusal> {
        let refused = |error: ErrorStack| Refusal(reason(&error));
        let mut configuration = self.connector.configure().map_err(refused)?;
        configuration.set_verify_hostname(self.check_hostname);
        let mut ssl: Ssl = configuration.into_ssl(host).map_err(refused)?;
        let problem: Arc<Mutex<Option<String>>> = Arc::default();
        let (host, kept) = (host.to_owned(), problem.clone());
        // Afterwards nothing tells which certificate it was.
        ssl.set_verify_callback(SslVerifyMode::PEER, move |good, context| {
            if !good {
                let text = certificate::complaint(context, &host);
                kept.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
            }
            good
        });
        let stream = SslStream::new(ssl, pipe).map_err(refused)?;
        Ok(Box::new(Stream { stream, problem }))
    }
}

struct Stream {
    stream: SslStream<Pipe>,
    /// What is wrong with the broker's certificate.
    problem: Arc<Mutex<Option<String>>>,
}

impl Stream {
    /// What an operation gave: `None` where the pipe has run dry.
    fn moved<T>(&self, result: Result<T, openssl::ssl::Error>) -> Result<Option<T>, Refusal> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        if matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE) {
            return Ok(None);
        }
        if let Some(problem) = self.problem.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(Refusal(problem));
        }
        let text = error.ssl_error().map_or_else(|| error.to_string(), reason);
        Err(Refusal(explained(text)))
    }
}

/// Adds what it means where OpenSSL's words do not say it.
fn explained(text: String) -> String {
    let meaning = match text.as_str() {
        "wrong version number" | "packet length too long" | "http request" => {
            "what answers does not speak TLS; is the port that of another listener?"
        }
        t if t.contains("certificate required") || t.contains("handshake failure") => {
            "perhaps the broker wants a certificate of the client (ssl_certfile), or has none of the ciphers"
        }
        // OpenSSL says "unknown ca", Java "certificate unknown".
        t if ["bad certificate", "unknown ca", "certificate unknown"]
            .iter()
            .any(|w| t.contains(w)) =>
        {
            "the broker does not accept the client's certificate (ssl_certfile)"
        }
        t if t.contains("unsupported protocol") || t.contains("protocol version") => {
            "the broker speaks no version of TLS from 1.2 on"
        }
        _ => return text,
    };
    format!("{text} ({meaning})")
}

impl Session for Stream {
    fn pipe(&self) -> &Pipe {
        self.stream.get_ref()
    }

    fn pipe_mut(&mut self) -> &mut Pipe {
        self.stream.get_mut()
    }

    fn handshake(&mut self) -> Result<bool, Refusal> {
        let result = self.stream.connect();
        Ok(self.moved(result)?.is_some())
    }

    fn read(&mut self, space: &mut [u8]) -> Result<Option<usize>, Refusal> {
        if self.stream.get_shutdown().contains(ShutdownState::RECEIVED) {
            return Ok(Some(0));
        }
        match self.stream.ssl_read(space) {
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(Some(0)),
            result => self.moved(result),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let result = self.stream.ssl_write(bytes);
        self.moved(result)
    }
}
