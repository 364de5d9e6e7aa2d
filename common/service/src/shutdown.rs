use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM or SIGINT (Ctrl-C).
///
/// # Errors
/// If the process can't install signal handlers.
pub async fn on_termination() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
