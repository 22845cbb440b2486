//! What to say of a certificate that is not accepted.

use std::net::IpAddr;

use openssl::{
    nid::Nid,
    x509::{X509Ref, X509StoreContextRef},
};

use crate::net::told::told;

/// What is wrong with the certificate that OpenSSL looks at, and whose it is.
pub(super) fn complaint(context: &X509StoreContextRef, host: &str) -> String {
    let error = context.error().error_string();
    let Some(certificate) = context.current_cert() else {
        return format!("certificate verify failed: {error}");
    };
    let subject = describe(certificate);
    let issuer = common_name(certificate.issuer_name()).unwrap_or_else(|| "nobody".to_owned());
    if context.error_depth() > 0 {
        return format!(
            "certificate verify failed: {error}: {subject}, which stands above that of {host}"
        );
    }
    format!(
        "certificate verify failed: {error}: {host} shows a certificate of {subject}, issued by {issuer}"
    )
}

/// The names that a certificate is for.
fn describe(certificate: &X509Ref) -> String {
    /// A certificate may have any number of names.
    const MOST: usize = 8;
    let mut names: Vec<String> = Vec::new();
    for name in certificate.subject_alt_names().iter().flatten() {
        let address = match name.ipaddress() {
            Some([a, b, c, d]) => Some(IpAddr::from([*a, *b, *c, *d])),
            Some(bytes) => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
            None => None,
        };
        let name = name
            .dnsname()
            .map(|name| told(name.as_bytes(), ""))
            .or_else(|| address.map(|a| a.to_string()));
        names.extend(name);
    }
    if names.is_empty() {
        names.extend(common_name(certificate.subject_name()));
    }
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    match (names.is_empty(), more) {
        (true, _) => "nobody".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

fn common_name(name: &openssl::x509::X509NameRef) -> Option<String> {
    let entry = name.entries_by_nid(Nid::COMMONNAME).next()?;
    Some(told(entry.data().to_string().ok()?.as_bytes(), ""))
}
