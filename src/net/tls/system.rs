//! TLS from the options where there is no OpenSSL: what the operating system's own can do of them.

use native_tls::{Certificate, Identity, Protocol, TlsConnector};

use super::{Backend, Pipe, Refusal, Session, files::Loaded, native::SslContext};
use crate::{error::Result, net::security::TlsFiles, options::checks::refuse};

/// What connections are made from.
pub(super) struct Connector(SslContext);

impl Connector {
    pub(super) fn new(files: &TlsFiles) -> Result<Self> {
        refuse_what_is_missing(files)?;
        let mut builder = TlsConnector::builder();
        builder.min_protocol_version(Some(Protocol::Tlsv12));
        builder.danger_accept_invalid_hostnames(!files.check_hostname);
        if let Some(ca) = Loaded::optional("ssl_cafile", files.cafile.as_ref())? {
            builder.disable_built_in_roots(true);
            for certificate in certificates(&ca)? {
                builder.add_root_certificate(certificate);
            }
        }
        if let Some(cert) = Loaded::optional("ssl_certfile", files.certfile.as_ref())? {
            let separate = Loaded::optional("ssl_keyfile", files.keyfile.as_ref())?;
            let key = separate.as_ref().unwrap_or(&cert);
            match Identity::from_pkcs8(&cert.bytes, &key.bytes) {
                Ok(identity) => drop(builder.identity(identity)),
                Err(error) => {
                    return key.refuse(format!("must be an unencrypted key in PKCS#8: {error}"));
                }
            }
        }
        match builder.build() {
            Ok(connector) => Ok(Self(connector.into())),
            Err(error) => refuse(("security_protocol", "SSL"), format!("TLS failed: {error}")),
        }
    }
}

fn refuse_what_is_missing(files: &TlsFiles) -> Result<()> {
    const MISSING: &str = "needs OpenSSL, which is not the TLS of this operating system";
    if let Some(crl) = &files.crlfile {
        return refuse(("ssl_crlfile", crl), MISSING);
    }
    if let Some(ciphers) = &files.ciphers {
        return refuse(("ssl_ciphers", ciphers), MISSING);
    }
    if files.password.is_some() {
        return refuse(("ssl_password", "…"), MISSING);
    }
    Ok(())
}

fn certificates(file: &Loaded<'_>) -> Result<Vec<Certificate>> {
    match Certificate::stack_from_pem(&file.bytes) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => file.refuse("has no certificate in it"),
        Err(error) => file.refuse(format!("has a certificate that cannot be read: {error}")),
    }
}

impl Backend for Connector {
    fn session(&self, host: &str, pipe: Pipe) -> Result<Box<dyn Session>, Refusal> {
        self.0.session(host, pipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn what_the_system_cannot_do_is_refused_by_name() {
        let files = TlsFiles { ciphers: Some("HIGH".to_owned()), ..TlsFiles::default() };
        let Err(Error::Configuration(error)) = Connector::new(&files) else { panic!() };
        assert_eq!(error.option, "ssl_ciphers");
        assert!(Connector::new(&TlsFiles::default()).is_ok());
    }
}
