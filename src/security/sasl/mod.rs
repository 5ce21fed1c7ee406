//! SASL: client authentication with the mechanisms that Kafka supports. Independent of connections: a mechanism gets
//! the broker's token and returns the client's next one.
//!
//! | file | what is in it |
//! |---|---|
//! | `client` | the SASL configuration of a producer; creates the exchange of each connection |
//! | `jaas`, `login_module` | the parser of `sasl.jaas.config`, and the login modules in it |
//! | `mechanism` | the trait of mechanisms: tokens in, tokens out |
//! | `plain`, `scram`, `oauthbearer`, `gssapi` | the mechanisms |
//! | `token`, `unsecured` | tokens of a provider, and Kafka's unsecured tokens for development |
//! | `login_handler` | the sources of tokens that a class name stands for |
//! | `oidc` | tokens of an identity provider |
//! | `msk_iam` | tokens for Amazon MSK, signed with AWS credentials |
//! | `login` | the cached token, and its refresh before it expires |
//! | `dependencies` | the helper thread, the waker, the clock and random bytes, which tests replace |

mod base64;
mod client;
pub(crate) mod dependencies;
#[cfg(any(feature = "gssapi", test))]
mod gssapi;
pub(crate) mod jaas;
mod login;
mod login_handler;
mod login_module;
pub(crate) mod mechanism;
#[cfg(feature = "msk-iam")]
pub(crate) mod msk_iam;
mod oauthbearer;
#[cfg(feature = "oidc")]
pub(crate) mod oidc;
mod plain;
#[cfg(feature = "sasl-scram")]
pub(crate) mod scram;
mod token;
mod unsecured;

pub(crate) use client::{Mechanism, SaslClient};
pub(crate) use login::FetchToken;
pub use token::{OAuthBearerToken, TokenProvider};
