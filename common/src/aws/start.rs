/// Why a program can't start on what its configuration names. The text names what was wrong and what to do; the
/// caller puts the variable before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Credentials are missing, expired or not allowed to do what is needed.
    #[error("{0}")]
    Credentials(String),
    /// What is named is not there.
    #[error("{0}")]
    Missing(String),
    /// It is there and of the wrong kind: a standard queue, a table with other keys.
    #[error("{0}")]
    WrongKind(String),
    /// It could not be reached.
    #[error("{0}")]
    Unreachable(String),
}
