//! Compiles the VFS that loses unsynced writes against the SQLite that the adapters use.

fn main() {
    #[expect(clippy::disallowed_macros, reason = "a build script speaks to cargo so")]
    {
        println!("cargo:rerun-if-changed=vfs.c");
    }
    let mut build = cc::Build::new();
    #[expect(clippy::disallowed_methods, reason = "cargo configures a build script through the environment")]
    if let Ok(include) = std::env::var("DEP_SQLITE3_INCLUDE") {
        build.include(include);
    }
    build.file("vfs.c").warnings(true).extra_warnings(true).compile("powerloss");
}
