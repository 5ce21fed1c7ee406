//! SASL: telling a broker who the client is, by one of the mechanisms that Kafka has. Nothing here knows of
//! connections: a mechanism is given what the broker said, and says what to answer.
//!
//! | file | what is in it |
//! |---|---|
//! | `client` | what a producer is configured for; makes the exchange of each connection |
//! | `jaas`, `login_module` | the notation of `sasl.jaas.config`, and what stands in it |
//! | `mechanism` | the seam: tokens in, tokens out |
//! | `plain`, `scram`, `oauthbearer` | the mechanisms |
//! | `token`, `unsecured` | tokens of the user's, and those that Kafka makes for development |
//! | `login` | a token that is refreshed before it ends |
//! | `outside` | the helper thread, the wake-up, time and chance |

mod base64;
mod client;
pub(crate) mod jaas;
mod login;
mod login_module;
pub(crate) mod mechanism;
mod oauthbearer;
pub(crate) mod outside;
mod plain;
#[cfg(feature = "sasl-scram")]
pub(crate) mod scram;
mod token;
mod unsecured;

pub(crate) use client::{Mechanism, SaslClient};
pub(crate) use login::FetchToken;
pub use token::{OAuthBearerToken, TokenProvider};
