//! Which part of a producer is code of the user's.

use std::fmt;

/// A part of a producer that is the user's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PluginKind {
    /// Makes bytes of keys.
    KeySerializer,
    /// Makes bytes of values.
    ValueSerializer,
    /// Chooses partitions.
    Partitioner,
    /// Sees every record.
    Interceptor,
    /// Is told the cluster's identifier.
    ClusterListener,
    /// Supplies tokens for OAUTHBEARER.
    TokenProvider,
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeySerializer => "key serializer",
            Self::ValueSerializer => "value serializer",
            Self::Partitioner => "partitioner",
            Self::Interceptor => "interceptor",
            Self::ClusterListener => "cluster listener",
            Self::TokenProvider => "token provider",
        })
    }
}
