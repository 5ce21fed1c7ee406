//! Names and ids of the compression codecs.

use std::fmt;
use std::str::FromStr;

/// Compression codec of batches (`compression.type`).
///
/// # Kafka
/// `org.apache.kafka.common.record.CompressionType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CompressionType {
    /// No compression.
    None,
    /// gzip: high compression, slow.
    Gzip,
    /// Snappy: fast.
    Snappy,
    /// LZ4: the fastest.
    Lz4,
    /// Zstandard: compresses about as well as gzip in a fraction of the time. Brokers support it since Kafka 2.1.
    Zstd,
}

impl CompressionType {
    const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec id in a batch's attributes.
    pub fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The name used in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of an id in a batch's attributes; `None` if the id is unknown.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }
}

impl fmt::Display for CompressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Parses the names used in configurations; case-sensitive.
impl FromStr for CompressionType {
    type Err = UnknownCompressionType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|codec| codec.name() == name);
        known.ok_or_else(|| UnknownCompressionType(name.to_owned()))
    }
}

/// Error: not the name of a [`CompressionType`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCompressionType(String);

impl fmt::Display for UnknownCompressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there is no compression type {:?}; use none, gzip, snappy, lz4 or zstd",
            self.0
        )
    }
}

impl std::error::Error for UnknownCompressionType {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: CompressionType#forId, #forName
    #[test]
    fn a_codec_is_found_by_its_id_and_by_its_name() {
        for codec in CompressionType::ALL {
            assert_eq!(CompressionType::from_id(codec.id()), Some(codec));
            assert_eq!(codec.to_string().parse(), Ok(codec));
        }
        assert_eq!(CompressionType::from_id(5), None);
    }

    #[test]
    fn a_name_in_another_case_is_an_error_that_lists_the_valid_names() {
        let error = "GZIP".parse::<CompressionType>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no compression type \"GZIP\"; use none, gzip, snappy, lz4 or zstd"
        );
    }
}
