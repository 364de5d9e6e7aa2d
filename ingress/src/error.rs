/// Why the ingress could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// A certificate, a key file or a JWK set can't be used.
    #[error("{0}")]
    Config(String),
    /// The network failed.
    #[error("the listener failed: {0}")]
    Listen(#[from] std::io::Error),
}
