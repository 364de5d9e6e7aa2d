//! Limits the CPU of the measured server, so that one machine can offer it many times its capacity.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The kernel renews the quota after this many µs, which is less than a request takes.
const PERIOD_US: u32 = 20_000;

/// A control group with a CPU quota. It is removed when it is dropped after its processes have ended.
pub(crate) struct CpuQuota {
    group: PathBuf,
}

impl CpuQuota {
    /// Creates a group whose processes get `share` of one core.
    ///
    /// # Errors
    /// This user may not write control groups.
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
        fs::create_dir(&group).with_context(|| format!("can't create the control group {}", group.display()))?;
        let quota = Self { group };
        settings.iter().try_for_each(|(file, value)| quota.write(file, value))?;
        Ok(quota)
    }

    /// Moves a process into the group.
    pub(crate) fn apply_to(&self, pid: u32) -> Result<()> {
        self.write("cgroup.procs", &pid.to_string())
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let file = self.group.join(file);
        fs::write(&file, value).with_context(|| format!("can't write {value} to {}", file.display()))
    }
}

impl Drop for CpuQuota {
    fn drop(&mut self) {
        // A group that can't be removed is empty and disappears at reboot.
        let _ = fs::remove_dir(&self.group);
    }
}
