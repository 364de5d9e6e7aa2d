/// Files that the process opens besides its connections: databases, keys, outgoing calls.
const OTHER_FILES: usize = 128;

/// Returns how many of the wanted connections this process may have open, at least 1. Each connection is a file, and a
/// server without a free file can't even open its database.
pub fn connections_that_fit(wanted: usize) -> usize {
    let fit = files_for_connections().unwrap_or(wanted);
    if fit < wanted {
        tracing::info!(
            connections = fit,
            wanted,
            "the limit of open files allows fewer connections than configured; raise it for more"
        );
    }
    fit.min(wanted)
}

/// Returns how many files connections may use, at least 1; `None` if there is no limit.
pub(super) fn files_for_connections() -> Option<usize> {
    let files = std::fs::read_to_string("/proc/self/limits").ok().and_then(|limits| open_files(&limits))?;
    Some(files.saturating_sub(OTHER_FILES).max(1))
}

/// Returns the soft limit of open files; `None` if there is none.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_is_read_and_no_limit_is_none() {
        let limits =
            |soft: &str| format!("Limit  Soft Limit  Hard Limit  Units\nMax open files  {soft}  1048576  files\n");
        assert_eq!(open_files(&limits("1024")), Some(1_024));
        assert_eq!(open_files(&limits("unlimited")), None);
        assert_eq!(open_files(""), None);
        assert_eq!(connections_that_fit(1), 1);
    }
}
