//! The security context of the Kerberos library (MIT's, Heimdal's or Apple's, through the crate `libgssapi`), with
//! credentials that are acquired for it.
//!
//! The library keeps a text for each error of a thread, so errors become texts where they occur.

use std::sync::Arc;

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::{Error, MajorFlags};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, OidSet};

use super::context::{GssContext, GssFailure, GssFailureKind, GssStep, OpenContext};
use super::options::Krb5Login;
use crate::util::foreign_text::printable_start;

/// Number of the first error code of Kerberos: the codes of the protocol (RFC 4120, section 7.5.9) are counted from it,
/// and the library's own codes follow.
const FIRST_CODE: i32 = -1_765_328_384;

/// Codes of transient errors: the client, or a ticket, is not valid yet; a request looks like a replay; the KDC has no
/// service at present.
///
/// # Kafka
/// `KerberosError`, without the last one.
const TRANSIENT: [i32; 4] = [21, 33, 34, 29];

/// Codes of transient errors: no KDC responds, or none can be found.
///
/// # Kafka
/// Differs: in Java it is a permanent failure that no KDC responds.
const NO_KDC: [i32; 3] = [156, 154, 220];

/// Codes for the lack of a ticket: it has expired; the cache has none, or does not exist; the keytab has no key.
const NO_TICKET: [i32; 4] = [32, 141, 195, 181];

/// Number of the codes: one of Kerberos is below.
const CODES: i32 = 256;

/// The codes of a routine error in a major status.
const ROUTINE_ERROR: u32 = 0x00ff_0000;

/// Makes contexts with the credentials of a login, for a service.
pub(super) fn opener(login: Krb5Login, service: String) -> OpenContext {
    Arc::new(move |host: &str| {
        let context = open(login.principal.as_deref(), &format!("{service}@{host}"));
        let context = context.map_err(failure)?;
        Ok(Box::new(KerberosContext(context)) as Box<dyn GssContext>)
    })
}

/// Acquires credentials, and makes a context of them. Neither is cached here: the library caches tickets, and renews
/// those from a keytab after half of their lifetime.
///
/// The broker proves its identity too, before it gets any record: see [`REQUIRED`].
fn open(principal: Option<&str>, service: &str) -> Result<ClientCtx, Error> {
    let mechanisms = OidSet::singleton(GSS_MECH_KRB5)?;
    let principal = principal
        .map(|principal| Name::new(principal.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL)))
        .transpose()?;
    let credentials = Cred::acquire(
        principal.as_ref(),
        None,
        CredUsage::Initiate,
        Some(&mechanisms),
    )?;
    // Here the library may look up the canonical name of the host, as krb5.conf says.
    let service = Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
    Ok(ClientCtx::new(
        Some(credentials),
        service,
        REQUIRED,
        Some(GSS_MECH_KRB5),
    ))
}

struct KerberosContext(ClientCtx);

/// The properties of a context that are requested, and checked once it is established: the library may grant fewer.
/// The broker proves its identity, and messages can be signed.
const REQUIRED: CtxFlags = CtxFlags::GSS_C_MUTUAL_FLAG.union(CtxFlags::GSS_C_INTEG_FLAG);

/// Checks the properties that the library has granted.
fn check_flags(granted: CtxFlags) -> Result<(), GssFailure> {
    if granted.contains(REQUIRED) {
        return Ok(());
    }
    let missing = REQUIRED.difference(granted).iter_names();
    let missing: Vec<&str> = missing.map(|(name, _)| name).collect();
    Err(GssFailure {
        kind: GssFailureKind::Permanent,
        text: format!("the established context has no {}", missing.join(", ")),
    })
}

impl GssContext for KerberosContext {
    fn step(&mut self, token: Option<&[u8]>) -> Result<GssStep, GssFailure> {
        let next = self.0.step(token, None).map_err(failure)?;
        let next = next.map(|next| next.to_vec()).unwrap_or_default();
        if !self.0.is_complete() {
            return Ok(GssStep::Continue(next));
        }
        check_flags(self.0.flags().map_err(failure)?)?;
        Ok(GssStep::Established(next))
    }

    fn open_message(&mut self, message: &[u8]) -> Result<Vec<u8>, GssFailure> {
        let content = self.0.unwrap(message).map_err(failure)?;
        Ok(content.to_vec())
    }

    fn seal_message(&mut self, content: &[u8]) -> Result<Vec<u8>, GssFailure> {
        let message = self.0.wrap(false, content).map_err(failure)?;
        Ok(message.to_vec())
    }
}

fn failure(error: Error) -> GssFailure {
    let code = code_of(error.minor);
    let text = text_of(&error.to_string(), code);
    GssFailure {
        kind: kind(error.major.bits(), code),
        text: format!("{text}{}", remedy(code)),
    }
}

/// The text of an error. A text of Kerberos stands in parentheses after a general one of GSS, and is enough by itself.
fn text_of(text: &str, code: i32) -> String {
    let specific = text
        .split_once(" (")
        .and_then(|(_, specific)| specific.strip_suffix(')'))
        .filter(|_| (0..CODES).contains(&code));
    printable_start(specific.unwrap_or(text)).into_owned()
}

fn remedy(code: i32) -> &'static str {
    match code {
        _ if NO_KDC.contains(&code) => {
            "; the KDCs of a realm are listed in krb5.conf, or in the file that KRB5_CONFIG names"
        }
        7 => {
            "; the host name is that in bootstrap.servers or advertised.listeners, or its canonical name if krb5.conf \
             does not forbid that (dns_canonicalize_hostname, rdns)"
        }
        37 | 148 => "; compare the clocks of this machine and of the KDC",
        _ => "",
    }
}

/// The number of a minor status among the codes of Kerberos.
fn code_of(minor: u32) -> i32 {
    (minor as i32).wrapping_sub(FIRST_CODE)
}

fn kind(major: u32, code: i32) -> GssFailureKind {
    let routine_error = major & ROUTINE_ERROR;
    let is_routine_error = |flag: MajorFlags| routine_error == flag.bits();
    if TRANSIENT.contains(&code) || NO_KDC.contains(&code) {
        GssFailureKind::Transient
    } else if NO_TICKET.contains(&code)
        || is_routine_error(MajorFlags::GSS_S_NO_CRED)
        || is_routine_error(MajorFlags::GSS_S_CREDENTIALS_EXPIRED)
    {
        GssFailureKind::NoCredentials
    } else {
        GssFailureKind::Permanent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_the_codes_of_kerberos() {
        const FAILURE: u32 = MajorFlags::GSS_S_FAILURE.bits();
        const NO_CRED: u32 = MajorFlags::GSS_S_NO_CRED.bits();
        const EXPIRED: u32 = MajorFlags::GSS_S_CREDENTIALS_EXPIRED.bits();
        for (major, code, expected) in [
            // Unknown client, unknown service, wrong key, clocks that differ.
            (FAILURE, 6, GssFailureKind::Permanent),
            (FAILURE, 7, GssFailureKind::Permanent),
            (FAILURE, 24, GssFailureKind::Permanent),
            (FAILURE, 37, GssFailureKind::Permanent),
            (FAILURE, 0, GssFailureKind::Permanent),
            (FAILURE, 34, GssFailureKind::Transient),
            // No KDC responds.
            (NO_CRED, 156, GssFailureKind::Transient),
            (FAILURE, 32, GssFailureKind::NoCredentials),
            (NO_CRED, 0, GssFailureKind::NoCredentials),
            (EXPIRED, 0, GssFailureKind::NoCredentials),
        ] {
            assert_eq!(kind(major, code), expected, "{major:#x} {code}");
        }
    }

    #[test]
    fn a_context_without_mutual_authentication_is_refused() {
        let more = REQUIRED | CtxFlags::GSS_C_REPLAY_FLAG | CtxFlags::GSS_C_TRANS_FLAG;
        assert_eq!(check_flags(REQUIRED), Ok(()));
        assert_eq!(check_flags(more), Ok(()));
        for (missing, name) in [
            (CtxFlags::GSS_C_MUTUAL_FLAG, "GSS_C_MUTUAL_FLAG"),
            (CtxFlags::GSS_C_INTEG_FLAG, "GSS_C_INTEG_FLAG"),
        ] {
            let failure = check_flags(more.difference(missing)).unwrap_err();
            assert_eq!(failure.kind, GssFailureKind::Permanent);
            assert!(
                failure.text.ends_with(&format!("has no {name}")),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn a_minor_status_is_counted_from_the_first_code() {
        // KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN and KRB5_KDC_UNREACH.
        assert_eq!(code_of(-1_765_328_377_i32 as u32), 7);
        assert_eq!(code_of(-1_765_328_228_i32 as u32), 156);
        assert!(!NO_KDC.contains(&code_of(0)));
    }

    #[test]
    fn a_text_of_kerberos_replaces_the_general_one() {
        let general = "Unspecified GSS failure.  Minor code may provide more information";
        for (text, code, expected) in [
            (format!("{general} (Ticket expired)"), 32, "Ticket expired"),
            (format!("{general} (A (b) c)"), 156, "A (b) c"),
            (
                "No credentials (No such file)".to_owned(),
                2_i32.wrapping_sub(FIRST_CODE),
                "No credentials (No such file)",
            ),
            (
                "An invalid name was supplied".to_owned(),
                7,
                "An invalid name was supplied",
            ),
        ] {
            assert_eq!(text_of(&text, code), expected);
        }
        let failure = failure(Error {
            major: MajorFlags::GSS_S_BAD_NAME,
            minor: 0,
        });
        assert!(failure.text.contains("name"), "{failure:?}");
    }
}
