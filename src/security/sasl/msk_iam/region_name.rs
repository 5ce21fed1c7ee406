//! The rule for names of regions.

/// Longest name of a region, in bytes.
const MAX_BYTES: usize = 40;

/// The name of a region, which becomes a part of a host name.
///
/// # Errors
/// If it is not the name of a region.
pub(super) fn checked(name: &str) -> Result<String, String> {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > MAX_BYTES || !name.bytes().all(is_allowed) {
        return Err("is not the name of a region such as eu-central-1".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_regions_become_part_of_a_host() {
        for name in ["eu-central-1", "us-gov-west-1", "cn-north-1", "aws-global"] {
            assert_eq!(checked(name).as_deref(), Ok(name));
        }
        let long = "a".repeat(MAX_BYTES + 1);
        for name in [
            "",
            "EU-CENTRAL-1",
            "eu.evil.example",
            "eu/",
            "eu-1\r\n",
            "é",
            &long,
        ] {
            assert!(checked(name).is_err(), "{name}");
        }
    }
}
