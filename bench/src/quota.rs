//! A small share of the CPU for the measured server, so that one machine can offer it many times what it can do.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The kernel gives the share anew so often, in µs: more often than requests take.
const PERIOD_US: u32 = 20_000;

/// A control group with a quota of CPU time; gone when dropped after its processes have ended.
pub(crate) struct Quota {
    group: PathBuf,
}

impl Quota {
    /// A group whose processes have `share` of one core.
    ///
    /// # Errors
    /// Control groups that this user may not write.
    pub(crate) fn of(share: f64) -> Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("stockline-bench-{}", std::process::id());
        let quota = f64::from(PERIOD_US) * share;
        let (group, settings) = if root.join("cgroup.controllers").exists() {
            (root.join(name), vec![("cpu.max", format!("{quota:.0} {PERIOD_US}"))])
        } else {
            let settings =
                vec![("cpu.cfs_period_us", PERIOD_US.to_string()), ("cpu.cfs_quota_us", format!("{quota:.0}"))];
            (root.join("cpu").join(name), settings)
        };
        fs::create_dir(&group).with_context(|| format!("can't make the control group {}", group.display()))?;
        let quota = Self { group };
        settings.iter().try_for_each(|(file, value)| quota.write(file, value))?;
        Ok(quota)
    }

    /// Gives it to a process.
    pub(crate) fn take_in(&self, pid: u32) -> Result<()> {
        self.write("cgroup.procs", &pid.to_string())
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let file = self.group.join(file);
        fs::write(&file, value).with_context(|| format!("can't write {value} to {}", file.display()))
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // What is left of it is empty, and ends with the machine.
        let _ = fs::remove_dir(&self.group);
    }
}
