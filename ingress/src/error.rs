/// Why the ingress could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// A certificate, a key file or a JWK set can't be used.
    #[error("{0}")]
    Config(String),
    /// A part ended by itself. The process should end, or start the ingress anew.
    #[error("{0} stopped by itself")]
    Stopped(&'static str),
    /// The network failed.
    #[error("the listener failed: {0}")]
    Listen(#[from] std::io::Error),
}
