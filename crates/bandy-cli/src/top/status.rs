//! What `/status` says, as far as it is shown.

use serde::Deserialize;

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub uptime_s: f64,
    pub servers: Vec<Server>,
    pub pools: Vec<Pool>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Server {
    pub name: String,
    pub service: String,
    pub listen: Vec<String>,
    pub connections: Connections,
    pub bytes: Bytes,
    pub responses: Responses,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Connections {
    pub open: u64,
    pub total: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Bytes {
    pub received: u64,
    pub sent: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Responses {
    #[serde(rename = "1xx")]
    pub informational: u64,
    #[serde(rename = "2xx")]
    pub success: u64,
    #[serde(rename = "3xx")]
    pub redirection: u64,
    #[serde(rename = "4xx")]
    pub client_error: u64,
    #[serde(rename = "5xx")]
    pub server_error: u64,
}

impl Responses {
    pub fn all(&self) -> u64 {
        self.informational + self.success + self.redirection + self.client_error + self.server_error
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Pool {
    pub name: String,
    pub strategy: String,
    pub panic: bool,
    pub waiting: u64,
    pub retries: u64,
    pub backends: Vec<Backend>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Backend {
    pub name: String,
    pub state: String,
    pub since_s: f64,
    pub draining: bool,
    pub ready: bool,
    pub weight: u32,
    pub active: u64,
    pub max: Option<u64>,
    pub total: u64,
    pub failed: u64,
    pub latency: Latency,
}

impl Backend {
    /// How it is, in a word.
    pub fn word(&self) -> &str {
        if self.draining {
            "draining"
        } else {
            &self.state
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Latency {
    pub ewma_ms: Option<f64>,
    /// How many took no longer than this many milliseconds, and longer than the bound before; the last has no bound.
    pub buckets: Vec<(Option<f64>, u64)>,
}
