//! The environment variables that choose the files of the Kerberos library: the keytab and the ticket cache.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

/// The variable with the keytab of clients.
pub(super) const CLIENT_KEYTAB: &str = "KRB5_CLIENT_KTNAME";
/// The variable with the ticket cache.
pub(super) const TICKET_CACHE: &str = "KRB5CCNAME";

/// The variables' values. The library takes files from these variables only, not from its caller, and a program cannot
/// safely change variables while it has several threads. So the options with files are compared with them.
#[derive(Debug, Default)]
pub(crate) struct KerberosEnvironment {
    pub(super) client_keytab: Option<OsString>,
    pub(super) ticket_cache: Option<OsString>,
}

impl KerberosEnvironment {
    /// The environment of this process.
    #[cfg(feature = "gssapi")]
    pub(crate) fn of_process() -> Self {
        Self {
            client_keytab: std::env::var_os(CLIENT_KEYTAB),
            ticket_cache: std::env::var_os(TICKET_CACHE),
        }
    }
}

/// The path of a file that is given with or without its type.
pub(super) fn path_of(name: &str) -> &Path {
    Path::new(name.strip_prefix("FILE:").unwrap_or(name))
}

/// Whether a variable's value and an option mean the same file: by name, or by what links lead to.
pub(super) fn is_same_file(variable: Option<&OsStr>, option: &str) -> bool {
    let Some(named) = variable.and_then(OsStr::to_str).map(path_of) else {
        return false;
    };
    let wanted = path_of(option);
    named == wanted
        || matches!(
            (fs::canonicalize(named), fs::canonicalize(wanted)),
            (Ok(named), Ok(wanted)) if named == wanted
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_compared_without_its_type_and_through_links() {
        let folder = std::env::temp_dir().join(format!("kafka-krb5-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let keytab = folder.join("a.keytab");
        fs::write(&keytab, b"").unwrap();
        let keytab = keytab.to_str().unwrap();
        let indirect = format!("{}/./../{}/a.keytab", folder.display(), {
            folder.file_name().unwrap().to_str().unwrap()
        });
        let is_same =
            |variable: &str, option: &str| is_same_file(Some(OsStr::new(variable)), option);
        assert!(is_same(keytab, keytab));
        assert!(is_same(&format!("FILE:{keytab}"), keytab));
        assert!(is_same(keytab, &format!("FILE:{keytab}")));
        assert!(is_same(&indirect, keytab));
        assert!(is_same("/none/b.keytab", "/none/b.keytab"));
        assert!(!is_same("/none/b.keytab", keytab));
        assert!(!is_same("MEMORY:tickets", "tickets"));
        assert!(!is_same_file(None, keytab));
        fs::remove_dir_all(folder).unwrap();
    }
}
