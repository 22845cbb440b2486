//! Whether the options of TLS and SASL fit together, and what connections are made of.

use super::{ClientValues, SecurityProtocol};
use crate::{
    error::Result,
    net::{
        sasl::{Plain, Sasl},
        security::Security,
        tls::{TlsContext, TlsFiles},
    },
    options::{Secret, checks::refuse},
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
    if protocol == SecurityProtocol::SaslPlaintext
        && sasl.as_ref().is_some_and(|s| s.name() == "PLAIN")
    {
        log::warn!(
            target: "kafka_blocking::net",
            "security_protocol = SASL_PLAINTEXT with sasl_mechanism = PLAIN: the password goes over the network in the clear"
        );
    }
    Ok(Security { tls, sasl })
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
        log::warn!(
            target: "kafka_blocking::net",
            "ssl_check_hostname = false: whoever has any certificate that is trusted can pose as a broker"
        );
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
    let shown = |pem: &Option<crate::options::Pem>| pem.as_ref().map(ToString::to_string);
    let set = [
        ("ssl_context", v.ssl_context.as_ref().map(|_| "…".to_owned())),
        ("ssl_check_hostname", (!v.ssl_check_hostname).then(|| "false".to_owned())),
        ("ssl_cafile", shown(&v.ssl_cafile)),
        ("ssl_certfile", shown(&v.ssl_certfile)),
        ("ssl_keyfile", shown(&v.ssl_keyfile)),
        ("ssl_password", v.ssl_password.as_ref().map(|_| "…".to_owned())),
        ("ssl_crlfile", shown(&v.ssl_crlfile)),
        ("ssl_ciphers", v.ssl_ciphers.clone()),
    ];
    for (name, value) in set {
        if let Some(value) = value {
            return useless((name, value), protocol, "SSL or SASL_SSL");
        }
    }
    Ok(None)
}

fn sasl(values: &ClientValues, given: Option<Sasl>) -> Result<Sasl> {
    let Some(mechanism) = &values.sasl_mechanism else {
        if let Some(given) = given {
            return Ok(given);
        }
        return refuse(
            ("sasl_mechanism", ""),
            format!("must be {KNOWN}: {} logs in", values.security_protocol),
        );
    };
    if given.is_some() {
        return refuse(("sasl_mechanism", mechanism), "a mechanism of its own was given, too");
    }
    match mechanism.as_str() {
        "PLAIN" => {
            let (username, password) = credentials(values, mechanism)?;
            if username.contains('\0') || password.reveal().contains('\0') {
                return refuse(
                    ("sasl_plain_username", username),
                    "neither it nor the password may have a NUL in it",
                );
            }
            Ok(Sasl::new(Plain::new(username, password)))
        }
        _ => refuse(("sasl_mechanism", mechanism), format!("must be {KNOWN}")),
    }
}

const KNOWN: &str = "PLAIN";

fn credentials(values: &ClientValues, mechanism: &str) -> Result<(String, Secret)> {
    let needed = format!("is needed by sasl_mechanism = {mechanism}");
    let Some(username) = values.sasl_plain_username.clone().filter(|name| !name.is_empty()) else {
        return refuse(("sasl_plain_username", ""), needed);
    };
    let Some(password) = values.sasl_plain_password.clone() else {
        return refuse(("sasl_plain_password", ""), needed);
    };
    Ok((username, password))
}

fn no_sasl(
    values: &ClientValues,
    given: Option<Sasl>,
    protocol: SecurityProtocol,
) -> Result<Option<Sasl>> {
    let set = [
        (
            "sasl_mechanism",
            values.sasl_mechanism.clone().or_else(|| given.map(|g| g.name().to_owned())),
        ),
        ("sasl_plain_username", values.sasl_plain_username.clone()),
        ("sasl_plain_password", values.sasl_plain_password.as_ref().map(|_| "…".to_owned())),
    ];
    for (name, value) in set {
        if let Some(value) = value {
            return useless((name, value), protocol, "SASL_SSL or SASL_PLAINTEXT");
        }
    }
    Ok(None)
}

fn useless<T>(
    option: (&'static str, String),
    protocol: SecurityProtocol,
    wanted: &str,
) -> Result<T> {
    let protocol = protocol.to_string().to_ascii_uppercase();
    refuse(
        option,
        format!("has no effect with security_protocol = {protocol}; set that to {wanted}"),
    )
}
