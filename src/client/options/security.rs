//! Whether the options of TLS and SASL fit together, and what connections are made of.

use super::{ClientValues, SERVICE_NAME, SecurityProtocol};
use crate::{
    error::Result,
    net::{
        sasl::{OauthBearer, Plain, Sasl, Scram},
        security::{Security, TlsFiles},
        tls::TlsContext,
    },
    options::{Pem, Secret, checks::refuse},
};

/// `given` is a mechanism of the user's own.
pub(super) fn security(values: &ClientValues, given: Option<Sasl>) -> Result<Security> {
    let protocol = values.security_protocol;
    let tls = if protocol.has_tls() { Some(tls(values)?) } else { no_tls(values, protocol)? };
    let sasl = if protocol.has_sasl() {
        Some(sasl(values, given)?)
    } else {
        no_sasl(values, given, protocol)?
    };
    let in_the_clear = sasl.as_ref().filter(|_| protocol == SecurityProtocol::SaslPlaintext);
    if let Some("PLAIN" | "OAUTHBEARER") = in_the_clear.map(Sasl::name) {
        log::warn!(target: "kafka_blocking::net", "security_protocol = SASL_PLAINTEXT: the password, or the token, goes over the network in the clear");
    }
    Ok(Security { proxy: values.proxy_url.clone(), tls, sasl })
}

fn tls(values: &ClientValues) -> Result<TlsContext> {
    if let Some(context) = &values.ssl_context {
        return Ok(TlsContext::from_context(context.clone()));
    }
    if values.ssl_certfile.is_none() {
        let needs = "needs ssl_certfile, the certificate of this key";
        if let Some(key) = &values.ssl_keyfile {
            return refuse(("ssl_keyfile", key), needs);
        }
        if values.ssl_password.is_some() {
            return refuse(("ssl_password", "…"), needs);
        }
    }
    if !values.ssl_check_hostname {
        log::warn!(target: "kafka_blocking::net", "ssl_check_hostname = false: whoever has any certificate that is trusted can pose as a broker");
    }
    TlsContext::from_files(&TlsFiles {
        check_hostname: values.ssl_check_hostname,
        cafile: values.ssl_cafile.clone(),
        certfile: values.ssl_certfile.clone(),
        keyfile: values.ssl_keyfile.clone(),
        password: values.ssl_password.clone(),
        crlfile: values.ssl_crlfile.clone(),
        ciphers: values.ssl_ciphers.clone(),
    })
}

/// What would be ignored is refused: whoever sets it thinks that the connection is encrypted.
fn no_tls(values: &ClientValues, protocol: SecurityProtocol) -> Result<Option<TlsContext>> {
    let v = values;
    let pem = |pem: &Option<Pem>| pem.as_ref().map(ToString::to_string);
    let set = [
        ("ssl_context", v.ssl_context.as_ref().map(|_| "…".to_owned())),
        ("ssl_check_hostname", (!v.ssl_check_hostname).then(|| "false".to_owned())),
        ("ssl_cafile", pem(&v.ssl_cafile)),
        ("ssl_certfile", pem(&v.ssl_certfile)),
        ("ssl_keyfile", pem(&v.ssl_keyfile)),
        ("ssl_password", v.ssl_password.as_ref().map(|_| "…".to_owned())),
        ("ssl_crlfile", pem(&v.ssl_crlfile)),
        ("ssl_ciphers", v.ssl_ciphers.clone()),
    ];
    match set.into_iter().find_map(|(name, value)| Some((name, value?))) {
        Some(option) => useless(option, protocol, "SSL or SASL_SSL"),
        None => Ok(None),
    }
}

fn sasl(values: &ClientValues, given: Option<Sasl>) -> Result<Sasl> {
    let name = match (&values.sasl_mechanism, given) {
        (None, Some(own)) => {
            unused(values, own.name(), &[])?;
            return Ok(own);
        }
        (Some(name), Some(_)) => {
            return refuse(("sasl_mechanism", name), "a mechanism of its own was given, too");
        }
        (Some(name), None) => name.to_ascii_uppercase(),
        (None, None) => {
            let protocol = values.security_protocol;
            return refuse(("sasl_mechanism", ""), format!("must be {KNOWN}: {protocol} logs in"));
        }
    };
    match name.as_str() {
        "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
            unused(values, &name, &["sasl_plain_username", "sasl_plain_password"])?;
            let (username, password) = credentials(values, &name)?;
            Ok(match name.as_str() {
                "PLAIN" => Sasl::new(Plain::new(username, password)),
                "SCRAM-SHA-256" => Sasl::new(Scram::sha256(username, password)),
                _ => Sasl::new(Scram::sha512(username, password)),
            })
        }
        "OAUTHBEARER" => {
            unused(values, &name, &[TOKENS])?;
            match &values.sasl_oauth_token_provider {
                Some(source) => Ok(Sasl::new(OauthBearer::new(source.provider()))),
                None => refuse((TOKENS, ""), "is needed by sasl_mechanism = OAUTHBEARER"),
            }
        }
        "GSSAPI" => {
            unused(values, &name, &KERBEROS)?;
            kerberos(values)
        }
        _ => refuse(("sasl_mechanism", name), format!("must be {KNOWN}")),
    }
}

const KNOWN: &str = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or GSSAPI";
const TOKENS: &str = "sasl_oauth_token_provider";
const KERBEROS: [&str; 3] =
    ["sasl_kerberos_service_name", "sasl_kerberos_domain_name", "sasl_kerberos_name"];

#[cfg(feature = "gssapi")]
fn kerberos(values: &ClientValues) -> Result<Sasl> {
    let v = values.clone();
    if v.sasl_kerberos_service_name.is_empty() {
        return refuse((KERBEROS[0], ""), "must not be empty");
    }
    if v.sasl_kerberos_name.is_some()
        && let Some(part) = set(values).find(|(name, _)| KERBEROS[..2].contains(name))
    {
        return refuse(part, "has no effect beside sasl_kerberos_name, which is the whole name");
    }
    Ok(Sasl::new(crate::net::sasl::Gssapi::new(
        v.sasl_kerberos_service_name,
        v.sasl_kerberos_domain_name,
        v.sasl_kerberos_name,
    )))
}

#[cfg(not(feature = "gssapi"))]
fn kerberos(_values: &ClientValues) -> Result<Sasl> {
    refuse(
        ("sasl_mechanism", "GSSAPI"),
        "is not in this build of kafka-blocking: build it with its feature `gssapi`",
    )
}

fn credentials(values: &ClientValues, mechanism: &str) -> Result<(String, Secret)> {
    let needed = format!("is needed by sasl_mechanism = {mechanism}");
    let Some(username) = values.sasl_plain_username.clone().filter(|name| !name.is_empty()) else {
        return refuse(("sasl_plain_username", ""), needed);
    };
    let Some(password) = values.sasl_plain_password.clone() else {
        return refuse(("sasl_plain_password", ""), needed);
    };
    if username.contains('\0') {
        return refuse(
            ("sasl_plain_username", username.escape_debug()),
            "must not have a NUL in it",
        );
    }
    if password.reveal().contains('\0') {
        return refuse(("sasl_plain_password", "…"), "must not have a NUL in it");
    }
    Ok((username, password))
}

/// The options of SASL that are set, but for the mechanism.
fn set(values: &ClientValues) -> impl Iterator<Item = (&'static str, String)> {
    let v = values;
    let service = Some(v.sasl_kerberos_service_name.clone()).filter(|name| name != SERVICE_NAME);
    [
        ("sasl_plain_username", v.sasl_plain_username.clone()),
        ("sasl_plain_password", v.sasl_plain_password.as_ref().map(|_| "…".to_owned())),
        (TOKENS, v.sasl_oauth_token_provider.as_ref().map(|_| "…".to_owned())),
        (KERBEROS[0], service),
        (KERBEROS[1], v.sasl_kerberos_domain_name.clone()),
        (KERBEROS[2], v.sasl_kerberos_name.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// Refuses what a mechanism does not look at.
fn unused(values: &ClientValues, mechanism: &str, uses: &[&str]) -> Result<()> {
    match set(values).find(|(name, _)| !uses.contains(name)) {
        Some(option) => refuse(option, format!("has no effect with sasl_mechanism = {mechanism}")),
        None => Ok(()),
    }
}

fn no_sasl(
    values: &ClientValues,
    given: Option<Sasl>,
    protocol: SecurityProtocol,
) -> Result<Option<Sasl>> {
    let mechanism = values.sasl_mechanism.clone();
    let mechanism = mechanism.or_else(|| given.map(|own| own.name().to_owned()));
    let mechanism = mechanism.map(|name| ("sasl_mechanism", name));
    match mechanism.into_iter().chain(set(values)).next() {
        Some(option) => useless(option, protocol, "SASL_SSL or SASL_PLAINTEXT"),
        None => Ok(None),
    }
}

fn useless<T>(
    option: (&'static str, String),
    protocol: SecurityProtocol,
    wanted: &str,
) -> Result<T> {
    refuse(
        option,
        format!("has no effect with security_protocol = {protocol}; set that to {wanted}"),
    )
}
