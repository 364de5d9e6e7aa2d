//! Names of hosts: this machine's own, and those that people write.

/// Returns a host name in lower case and in ASCII, as DNS and certificates have it; `None` if it is none.
pub(crate) fn ascii(name: &str) -> Option<String> {
    idna::domain_to_ascii_strict(name).ok().filter(|host| !host.is_empty())
}

/// Returns the name of this machine, if it can be the name of a host for others.
pub(crate) fn own_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    ascii(&name).filter(|name| name != "localhost")
}
