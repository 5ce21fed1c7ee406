//! A client of a schema registry over blocking HTTP, for Avro schemas.

// The page on schema registries in `docs/guide` quotes the code from here on, up to the end of the file.
use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder};

/// The media type of the registry's API.
const JSON: &str = "application/vnd.schemaregistry.v1+json";
/// The longest response that is read, in bytes.
const LONGEST_RESPONSE: u64 = 1024 * 1024;

/// Calls one schema registry. Each call ends within the timeout.
#[derive(Clone)]
pub struct RegistryClient {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

/// The address may contain a password, and the header `Authorization` is a secret: neither is shown.
impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClient").finish_non_exhaustive()
    }
}

impl RegistryClient {
    /// `url` is that of the registry, such as `http://registry:8081`. The timeout covers a whole call: the name
    /// look-up, the connection, the request and the response.
    pub fn new(url: &str, timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            // The body of an error response has the reason.
            .http_status_as_error(false)
            // Ignores `http_proxy` of the environment: the registry is in the same network.
            .proxy(None);
        Self {
            agent: config.build().into(),
            url: url.trim_end_matches('/').to_owned(),
            authorization: None,
        }
    }

    /// The value of the header `Authorization`, such as `Bearer TOKEN`. Without it there is no such header, unless the
    /// URL has a user and a password.
    pub fn authorization(mut self, value: &str) -> Self {
        self.authorization = Some(value.to_owned());
        self
    }

    /// The id of a schema that is registered under the subject.
    pub fn look_up(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        id_in(&self.post(&format!("/subjects/{subject}"), schema)?)
    }

    /// Registers a schema under the subject, and returns its id. Registering the same schema again returns the same id.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        id_in(&self.post(&format!("/subjects/{subject}/versions"), schema)?)
    }

    /// The schema with this id, for consumers.
    pub fn schema(&self, id: u32) -> Result<String, RegistryError> {
        let url = format!("{}/schemas/ids/{id}", self.url);
        let found = read(self.with_headers(self.agent.get(url)).call())?;
        let schema = found["schema"].as_str();
        schema
            .map(str::to_owned)
            .ok_or_else(|| not_understood(200, &found.to_string()))
    }

    fn post(&self, path: &str, schema: &str) -> Result<Value, RegistryError> {
        let body = json!({ "schema": schema }).to_string();
        let request = self.agent.post(format!("{}{path}", self.url));
        read(self.with_headers(request).content_type(JSON).send(body))
    }

    fn with_headers<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        let request = request.header("accept", JSON);
        match &self.authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        }
    }
}

/// The JSON of a response, unless it is an error.
fn read(response: Result<Response<Body>, ureq::Error>) -> Result<Value, RegistryError> {
    let mut response = response.map_err(RegistryError::Call)?;
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .with_config()
        .limit(LONGEST_RESPONSE)
        .lossy_utf8(true);
    let body = body.read_to_string().map_err(RegistryError::Call)?;
    let Ok(value) = serde_json::from_str::<Value>(&body) else {
        return Err(not_understood(status, &body));
    };
    if status == 200 {
        return Ok(value);
    }
    let code = value["error_code"].as_u64().unwrap_or(status.into());
    let message = value["message"].as_str().unwrap_or(&body).to_owned();
    Err(RegistryError::Refused { code, message })
}

fn id_in(value: &Value) -> Result<u32, RegistryError> {
    let id = value["id"].as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| not_understood(200, &value.to_string()))
}

fn not_understood(status: u16, body: &str) -> RegistryError {
    let start = body.chars().take(100).collect();
    RegistryError::NotUnderstood { status, start }
}

/// Why a call to the registry failed.
#[derive(Debug)]
pub enum RegistryError {
    /// No response that could be read: no connection, none within the timeout, or one that is too long.
    Call(ureq::Error),
    /// An error response. The registry's documentation lists the codes: 40401 is an unknown subject, 40403 an unknown
    /// schema.
    Refused { code: u64, message: String },
    /// The response is not that of a schema registry, but a proxy's page, for example.
    NotUnderstood { status: u16, start: String },
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => write!(f, "the call of the schema registry failed: {error}"),
            Self::Refused { code, message } => {
                write!(f, "the schema registry refused with code {code}: {message}")
            }
            Self::NotUnderstood { status, start } => {
                write!(
                    f,
                    "not the response of a schema registry: status {status}, {start:?}"
                )
            }
        }
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }
}
